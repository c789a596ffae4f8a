"""Stories: sentences and pictures in turn.

The prompt determines the story: the sentence of the k-th frame is the k-th line of the tale, that of the last frame its
ending, and a picture contains what its sentence names: first the hero with what it wears, then the things.
"""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Sequence

from seedx.errors import SeedxError
from seedx.messages import Image, Message, Part, Text, assistant, user
from seedx_stickers.art import BACKGROUNDS, OBJECTS
from seedx_stickers.layout import Ask, apart, compose
from seedx_stickers.scenes import Scene, is_unseen
from seedx_stickers.tasks.example import Example, Expected, Frame
from seedx_stickers.tasks.reading import FACES, WEARABLE
from seedx_stickers.tasks.tales import TALES, Tale
from seedx_stickers.tasks.wishes import ANIMALS
from seedx_stickers.tasks.words import NUMBERS, counted, plural, styled

FRAMES = (3, 6)  # least and most pictures of a story in training
LONGEST = 10  # pictures that every tale has lines for
DRESSED = 0.3  # the share of heroes that wear something

ABOUT = (
    "tell a story about {it} in {n} pictures",
    "tell me a story about {it} in {n} pictures",
    "a story about {it} in {n} pictures",
    "make a picture story about {it} with {n} pictures",
    "{n} pictures that tell a story about {it}",
)
OF = (
    "tell a story in {n} pictures: {it}",
    "a story in {n} pictures: {it}",
    "{it}, a story in {n} pictures",
    "tell it in {n} pictures: {it}",
)
GO_ON = (
    "{line} go on with this story in {n} pictures",
    "{line} continue the story in {n} pictures",
    "{line} tell the rest in {n} pictures",
    "{line} what happens next? tell it in {n} pictures",
    "{n} more pictures of this story: {line}",
)

SURROUNDINGS = ("background", "desert", "evening", "forest", "garden", "room", "sea", "sky")


def _any_of(words: list[str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


_SINGULAR = {form: name for name in OBJECTS for form in (plural(name), name)}
_THING = re.compile(rf"\b({_any_of(list(_SINGULAR))})\b")
_GROUND = re.compile(
    rf"\b({_any_of([b.name for b in BACKGROUNDS.values() if b.colour])}) ({_any_of(list(SURROUNDINGS))})\b"
    rf"|\b({_any_of([b.name for b in BACKGROUNDS.values() if not b.colour])})\b"
)


@functools.lru_cache(maxsize=4096)
def things_named(sentence: str) -> tuple[tuple[str, ...], str | None]:
    """What a sentence names: the distinct objects in order, and the background or None.

    >>> things_named("Under a blue sky, the cat meets two mice.")
    (('cat', 'mouse'), 'blue')
    """
    sentence = sentence.lower()
    ground = _GROUND.search(sentence)
    things = _THING.findall(_GROUND.sub(" ", sentence))  # "orange" is a fruit and a desert
    return tuple(dict.fromkeys(_SINGULAR[thing] for thing in things)), ground and (ground[1] or ground[3])


def story(
    rng: random.Random, unseen: bool | None = False, frames: int | None = None, first_given: bool | None = None
) -> Example:
    """A story from a prompt or, half of the time, from its first picture and sentence.

    What the hero wears is named by the prompt or only shown in the first picture; of the answer, the first sentence
    alone names it.

    Args:
        frames: how many pictures the answer has; by default a number within `FRAMES`.
        first_given: whether the first picture is given; by default in half of the cases.

    Raises:
        SeedxError: more frames than the tales have lines for, or none.
    """
    if frames is not None and not 1 <= frames <= LONGEST:
        raise SeedxError(f"a story has 1 to {LONGEST} pictures, not {frames}: ask for fewer or tell several stories")
    count, half, dressed = frames or rng.randint(*FRAMES), rng.random() < 0.5, rng.random() < DRESSED
    first_given = half if first_given is None else first_given
    while True:
        tale = TALES[rng.choice(list(TALES))]
        hero = Ask(rng.choice(FACES), wears=(rng.choice(WEARABLE),)) if dressed else Ask(rng.choice(ANIMALS))
        whole = tell(tale, hero, count + first_given)
        scenes = [frame.scene for frame in whole]
        if _alone(hero, whole) and all(map(apart, scenes)) and unseen in (None, any(map(is_unseen, scenes))):
            break
    first = whole[0] if first_given else None
    answer = (_named(whole[first_given], hero), *whole[first_given + 1 :])
    prompt = _continued(rng, whole[0], hero, count) if first else _asked(rng, tale, hero, count)
    messages: list[Message[Scene]] = [
        user(Image(first.scene), prompt) if first else user(prompt),
        assistant(*interleaved(answer)),
    ]
    text = "".join(frame.text for frame in answer)
    expected = Expected(text, "story", source=first.scene if first else None, asked=(hero,), frames=answer)
    return Example("story", messages, [expected])


def interleaved(frames: Sequence[Frame]) -> tuple[Part[Scene], ...]:
    """Sentences and pictures in turn."""
    return tuple(part for frame in frames for part in (Text(frame.text), Image(frame.scene)))


def tell(tale: Tale, hero: Ask, count: int) -> tuple[Frame, ...]:
    """The tale in `count` frames; sentences name the hero without what it wears."""
    frames = []
    for line in (*tale.lines[: count - 1], tale.ending):
        text = line.format(x=f"the {hero.name}")
        (_, *things), background = things_named(text)
        scene = compose([hero, *map(Ask, things)], background)
        frames.append(Frame(text[0].upper() + text[1:], scene))
    return tuple(frames)


def _alone(hero: Ask, frames: tuple[Frame, ...]) -> bool:
    """Whether the hero meets no animal of its own name."""
    return not any(hero.name in things_named(frame.text.replace(hero.name, "", 1))[0] for frame in frames)


def _named(frame: Frame, hero: Ask) -> Frame:
    """The frame with what the hero wears in its sentence: "The cat with a hat ..."."""
    looks = counted(hero.name, wears=hero.wears).split(" ", 1)[1]
    return Frame(frame.text.replace(hero.name, looks, 1), frame.scene)


def _asked(rng: random.Random, tale: Tale, hero: Ask, count: int) -> str:
    clause = rng.random() < 0.25  # a clause needs a colon, a noun does not
    it = (tale.clause if clause else rng.choice(tale.names)).format(x=counted(hero.name, wears=hero.wears))
    return styled(rng, rng.choice(OF if clause else ABOUT + OF).format(it=it, n=_number(rng, count)))


def _continued(rng: random.Random, first: Frame, hero: Ask, count: int) -> str:
    """The sentence of the first picture, with or without the hero's looks, and the wish for the rest."""
    line = _named(first, hero).text if rng.random() < 0.5 else first.text
    return styled(rng, rng.choice(GO_ON).format(line=line, n=_number(rng, count)))


def _number(rng: random.Random, count: int) -> str:
    return str(count) if rng.random() < 0.5 else NUMBERS[count]
