"""The tasks of the stickers world, all as messages: read, point, draw, edit.

    example = sample(random.Random(0), "edit")
    example.messages       # pictures are scenes: `Image(scene)`, for `scenes.render` to turn into pixels
    example.expected       # what scoring needs, per answer

A new task is one function from (rng, unseen) to an `Example` in `KINDS`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from seedx.errors import SeedxError
from seedx.messages import Box, Image, Message, Text, assistant, user
from seedx_stickers.scenes import Scene
from seedx_stickers.tasks.boxes import box_turn
from seedx_stickers.tasks.chat import TO_A_STORY, chat
from seedx_stickers.tasks.drawing import draw
from seedx_stickers.tasks.editing import OPERATIONS, edit
from seedx_stickers.tasks.example import Example, Expected
from seedx_stickers.tasks.long import long
from seedx_stickers.tasks.panorama import PANORAMA_QUESTIONS, panorama_scene
from seedx_stickers.tasks.questions import FLAVOUR, QUESTIONS
from seedx_stickers.tasks.reading import caption_turn, scene_to_read
from seedx_stickers.tasks.several import several
from seedx_stickers.tasks.signs import SIGN_QUESTIONS, signed_scene
from seedx_stickers.tasks.slides import slide
from seedx_stickers.tasks.stories import story
from seedx_stickers.tasks.two_pictures import together, try_on
from seedx_stickers.tasks.wishes import wish
from seedx_stickers.tasks.words import normalise, styled

__all__ = [
    "KINDS",
    "PARTS",
    "QUESTIONS",
    "Example",
    "Expected",
    "conversation",
    "mixture",
    "normalise",
    "sample",
    "texts",
]

Makers = Mapping[str, Callable[[random.Random, Scene], tuple[str, str] | None]]
MAKERS: dict[str, Makers] = {
    "panorama": PANORAMA_QUESTIONS,
    "text": SIGN_QUESTIONS,
}  # the questions of a kind
ANY_SIZE = 0.5  # the share of pictures to read that are not one tile
DRILLED = {"relation": 0.45, "how_many": 0.25, "yes_no": 0.12, "list": 0.1, "where": 0.08}
DRILLED_SIGNS = {
    "word_yes_no": 0.27,
    "next_to": 0.25,
    "read_all": 0.15,
    "word_where": 0.13,
    "read_at": 0.12,
    "number": 0.08,
}
WHOLE = ("caption", "list", "read_all")  # at most once in a conversation, and mostly last

Turn = tuple[str, Expected]  # what the user says, and the answer


def caption(rng: random.Random, unseen: bool | None = False) -> Example:
    return _read(rng, "caption", lambda: (scene_to_read(rng, unseen, ANY_SIZE), ""))


def question(rng: random.Random, unseen: bool | None = False, type_: str = "") -> Example:
    """Every type of question equally often, or only one."""
    type_ = type_ or rng.choice(list(QUESTIONS))
    return _read(rng, "question", lambda: (scene_to_read(rng, unseen, ANY_SIZE, FLAVOUR.get(type_)), type_))


def find(rng: random.Random, unseen: bool | None = False) -> Example:
    return _read(rng, "box", lambda: (scene_to_read(rng, unseen, ANY_SIZE), ""))


def panorama(rng: random.Random, unseen: bool | None = False) -> Example:
    type_ = rng.choice(list(PANORAMA_QUESTIONS))
    return _read(rng, "panorama", lambda: (panorama_scene(rng, unseen), type_))


def text(rng: random.Random, unseen: bool | None = False, any_size: float = 0.3) -> Example:
    type_ = rng.choice(list(SIGN_QUESTIONS))
    return _read(rng, "text", lambda: (signed_scene(rng, unseen, any_size), type_))


KINDS: dict[str, Callable[[random.Random, bool | None], Example]] = {
    "caption": caption,
    "question": question,
    "box": find,
    "draw": draw,
    "wish": wish,
    "slide": slide,
    "edit": edit,
    "story": story,
    "try_on": try_on,
    "together": together,
    "panorama": panorama,
    "text": text,
    "several": several,
    "long": long,
    "chat": chat,
}


# Kinds that can be narrowed down: "question:list", "edit:replace". With ":tiled", no picture has the size of one tile:
# only those train the model to combine tiles.
PARTS = {
    **{f"question:{type_}": partial(question, type_=type_) for type_ in QUESTIONS},
    "draw:unplaced": partial(draw, placed=0.0),  # more of several equal things, and of single large ones
    "draw:scattered": partial(draw, scattered=True),
    "draw:unplaced:scattered": partial(draw, placed=0.0, scattered=True),
    **{f"edit:{operation}": partial(edit, operation=operation) for operation in OPERATIONS},
    "chat:scattered": partial(chat, scattered=True),
    "chat:story": partial(chat, plans=TO_A_STORY),
    "text:tiled": partial(text, any_size=1.0),
}


def sample(rng: random.Random, kind: str, unseen: bool | None = False) -> Example:
    """One example of a kind of `KINDS` or `PARTS`.

    Args:
        unseen: False: no held-out combination; True: at least one; None: either.

    Raises:
        SeedxError: no such kind.
    """
    maker = KINDS.get(kind) or PARTS.get(kind)
    if not maker:
        raise SeedxError(f"unknown kind of task {kind!r}: choose from {', '.join((*KINDS, *PARTS))}")
    return maker(rng, unseen)


def conversation(rng: random.Random, any_size: float = 0.25) -> Example:
    """Three to six turns of caption, questions and boxes about one picture, for training: its tokens occur only once.

    What describes the whole picture (`WHOLE`) mostly comes last, so that other answers can't be copied from it.
    """

    def pick() -> tuple[str, str]:
        kind = rng.choices(("caption", "question", "box"), (0.1, 0.6, 0.3))[0]
        return kind, rng.choice(list(QUESTIONS)) if kind == "question" else ""

    return _about(rng, "conversation", scene_to_read(rng, False, any_size), rng.randint(3, 6), pick)


def drill(rng: random.Random, any_size: float = 0.35) -> Example:
    """Six to nine turns of the harder questions about one picture, for training."""
    while len((scene := scene_to_read(rng, False, any_size)).stickers) < 2:
        pass
    types, weights = list(DRILLED), list(DRILLED.values())
    return _about(rng, "drill", scene, rng.randint(6, 9), lambda: ("question", rng.choices(types, weights)[0]))


def signs(rng: random.Random, any_size: float = 0.35) -> Example:
    """Four to seven turns of the harder questions about the signs of one picture, for training."""
    while len((scene := signed_scene(rng, False, any_size)).signs) < 2:
        pass
    types, weights = list(DRILLED_SIGNS), list(DRILLED_SIGNS.values())
    return _about(rng, "signs", scene, rng.randint(4, 7), lambda: ("text", rng.choices(types, weights)[0]))


MANY_TURNS: dict[str, Callable[[random.Random], Example]] = {
    "conversation": conversation,
    "conversation:tiled": partial(conversation, any_size=1.0),
    "drill": drill,
    "drill:tiled": partial(drill, any_size=1.0),
    "signs": signs,
    "signs:tiled": partial(signs, any_size=1.0),
}


def mixture(rng: random.Random, weights: dict[str, float]) -> Example:
    """One training example; `weights` has kinds of `KINDS`, `PARTS` or `MANY_TURNS`.

    Raises:
        SeedxError: an unknown kind.
    """
    kind = rng.choices(list(weights), list(weights.values()))[0]
    return MANY_TURNS[kind](rng) if kind in MANY_TURNS else sample(rng, kind)


def texts(n: int, seed: int) -> Iterator[str]:
    """Prompts, answers and labels of boxes of `n` training examples of all kinds, to train a tokenizer on."""
    rng = random.Random(seed)
    weights = dict.fromkeys((*KINDS, "conversation"), 1.0)  # the others have no texts of their own
    for _ in range(n):
        for message in mixture(rng, weights).messages:
            yield from (part.text for part in message.content if isinstance(part, Text))
            yield from (part.label for part in message.content if isinstance(part, Box))


def _read(rng: random.Random, kind: str, draw_scene: Callable[[], tuple[Scene, str]]) -> Example:
    """One turn about a scene; scenes that have no such turn are skipped."""
    while True:
        scene, type_ = draw_scene()
        if turn := _turn(rng, scene, kind, type_):
            return _example(kind, scene, [(styled(rng, turn[0]), turn[1])])


def _about(rng: random.Random, kind: str, scene: Scene, wanted: int, pick: Callable[[], tuple[str, str]]) -> Example:
    """Different turns about one scene, at most as many as wanted; `pick` gives the kind and the type of each."""
    turns: dict[tuple[object, ...], Turn] = {}
    for _ in range(8 * wanted):
        if len(turns) == wanted:
            break
        if turn := _turn(rng, scene, *pick()):
            prompt, expected = turn
            turns.setdefault((expected.type, "" if expected.type in WHOLE else prompt, expected.boxes), turn)
    order = list(turns.values())
    if rng.random() < 0.8:
        order.sort(key=lambda turn: turn[1].type in WHOLE)
    return _example(kind, scene, [(styled(rng, prompt), expected) for prompt, expected in order])


def _turn(rng: random.Random, scene: Scene, kind: str, type_: str) -> Turn | None:
    if kind == "box":
        found = box_turn(rng, scene)
        return found and (found[0], Expected(type="box", boxes=found[1], source=scene))
    if kind == "caption":
        made = caption_turn(rng, scene)
        type_ = "caption"
    else:
        made = MAKERS.get(kind, QUESTIONS)[type_](rng, scene)
    return made and (made[0], Expected(made[1], type_, source=scene))


def _example(kind: str, scene: Scene, turns: list[Turn]) -> Example:
    messages: list[Message[Scene]] = []
    for prompt, expected in turns:
        messages.append(user(prompt) if messages else user(Image(scene), prompt))
        messages.append(assistant(*expected.boxes) if expected.boxes else assistant(expected.text))
    return Example(kind, messages, [expected for _, expected in turns])
