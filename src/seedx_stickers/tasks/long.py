"""Very long pictures, panoramas and tall pages up to 1:8, with up to thirty small things.

Questions are about places along the longer side: its thirds, its ends, what comes next, from left to right on a
panorama and from top to bottom on a page. `panorama.py` has shorter pictures.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from seedx.messages import Image, assistant, user
from seedx_stickers.art import BACKGROUNDS, OBJECTS
from seedx_stickers.scenes import Scene, Sticker, is_unseen, sample
from seedx_stickers.tasks.example import Example, Expected
from seedx_stickers.tasks.questions import MARGIN, Turn, how_many, yes_no
from seedx_stickers.tasks.reading import off_border, pick_names
from seedx_stickers.tasks.words import called, counted, is_are, plural, styled

SHORTER = (96, 128, 192, 256)  # pixels
RATIOS = (4, 5, 6, 7, 8)
SMALL = (0.2, 0.4)  # sizes of the things, of the shorter side
FEWEST, MOST = 8, 30  # things
DENSITY = 5  # most things on a square of the shorter side
STEP = 0.12  # the least distance along the longer side between things, in fractions of the shorter side

# Names of thirds and ends, and the words for both directions.
WIDE = (("left", "middle", "right"), ("right of", "left of"))
TALL = (("top", "middle", "bottom"), ("below", "above"))

THIRD = (
    "{is} the {x} in the {0}, {1} or {2} part?",
    "{0}, {1} or {2}: where {is} the {x}?",
    "in which third {is} the {x}, {0}, {1} or {2}?",
    "which part holds the {x}: {0}, {1} or {2}?",
    "tell me if the {x} {is} {0}, {1} or {2}",
)
END = (
    "what is the last thing {at} the {side}?",
    "which thing is closest to the {side} border?",
    "what is at the {side} end?",
    "name the thing at the {side} end",
    "which thing is nearest to the {side} end?",
)
NEXT = (
    "what is just {way} the {x}?",
    "what is the next thing {way} the {x}?",
    "which thing is next {way} the {x}?",
    "what comes next {way} the {x}?",
    "name the next thing {way} the {x}",
)
GROUP = (
    "how many {xs} are there?",
    "how many {xs} do you see?",
    "count the {xs}",
    "how many {xs} are in the picture?",
    "tell me how many {xs} there are",
)
GROUPS = ("animal", "vehicle")  # the groups of `art.py` with clear members


def long(rng: random.Random, unseen: bool | None = False) -> Example:
    """One question on one very long picture; every type of question equally often."""
    type_ = rng.choice(list(LONG_QUESTIONS))
    while True:
        scene = long_scene(rng, unseen)
        if turn := LONG_QUESTIONS[type_](rng, scene):
            break
    question, answer = turn
    expected = Expected(answer, type_, source=scene)
    return Example("long", [user(Image(scene), styled(rng, question)), assistant(answer)], [expected])


def long_scene(rng: random.Random, unseen: bool | None = False) -> Scene:
    """From 1:4 to 1:8, wide or tall, with eight to thirty things, a few of them once and others many times."""
    while True:
        shorter, ratio = rng.choice(SHORTER), rng.choice(RATIOS)
        size = (shorter * ratio, shorter) if rng.random() < 0.5 else (shorter, shorter * ratio)
        background = rng.choice(list(BACKGROUNDS))
        names = _names(rng, rng.randint(FEWEST, min(MOST, DENSITY * ratio)), background, avoid=unseen is False)
        scene = sample(rng, size, len(names), background, names, SMALL, unseen=None)
        if len(scene.stickers) >= FEWEST and unseen in (None, is_unseen(scene)):
            return scene


def _names(rng: random.Random, count: int, background: str, avoid: bool) -> list[str]:
    once = rng.randint(3, 6)
    kinds = pick_names(rng, once + rng.randint(2, 5), background, avoid)
    names = kinds[:once] + [rng.choice(kinds[once:]) for _ in range(count - once)]
    rng.shuffle(names)
    return names


def third(rng: random.Random, scene: Scene) -> Turn | None:
    clear = [s for s in scene.stickers if off_border(_along(scene, s), MARGIN)]
    if not (chosen := _named(rng, scene, clear)):
        return None
    name, sticker = chosen
    thirds, _ = _words(scene)
    question = rng.choice(THIRD).format(*thirds, x=name, **{"is": is_are(name)})
    return question, thirds[int(3 * _along(scene, sticker))]


def end(rng: random.Random, scene: Scene) -> Turn | None:
    (first, _, last), _ = _words(scene)
    ordered = _ordered(scene)
    side = rng.choice((first, last))
    if side == last:
        ordered.reverse()
    if not _follows(scene, *ordered[:2]):
        return None
    return rng.choice(END).format(side=side, at="on" if _is_wide(scene) else "at"), counted(ordered[0].name)


def next_thing(rng: random.Random, scene: Scene) -> Turn | None:
    """What comes after a thing, if nothing else is nearly as close."""
    ordered = _ordered(scene)
    on, back = _words(scene)[1]
    way = rng.choice((on, back))
    if way == back:
        ordered.reverse()
    clear = [
        here
        for here, there, beyond in zip(ordered, ordered[1:], ordered[2:], strict=False)
        if _follows(scene, here, there) and _follows(scene, there, beyond)
    ]
    if not (chosen := _named(rng, scene, clear)):
        return None
    name, sticker = chosen
    return rng.choice(NEXT).format(way=way, x=name), counted(ordered[ordered.index(sticker) + 1].name)


def group(rng: random.Random, scene: Scene) -> Turn | None:
    there = [name for name in GROUPS if any(OBJECTS[s.name].group == name for s in scene.stickers)]
    word = rng.choice(there if there and rng.random() < 0.9 else GROUPS)
    count = sum(OBJECTS[s.name].group == word for s in scene.stickers)
    return rng.choice(GROUP).format(xs=plural(word)), str(count)


LONG_QUESTIONS: dict[str, Callable[[random.Random, Scene], Turn | None]] = {
    "how_many": how_many,
    "group": group,
    "yes_no": yes_no,
    "where": third,
    "end": end,
    "next": next_thing,
}


def _is_wide(scene: Scene) -> bool:
    return scene.width > scene.height


def _words(scene: Scene) -> tuple[tuple[str, str, str], tuple[str, str]]:
    return WIDE if _is_wide(scene) else TALL


def _along(scene: Scene, sticker: Sticker) -> float:
    """The place on the longer side, in 0..1."""
    return sticker.x if _is_wide(scene) else sticker.y


def _ordered(scene: Scene) -> list[Sticker]:
    return sorted(scene.stickers, key=lambda sticker: _along(scene, sticker))


def _follows(scene: Scene, here: Sticker, there: Sticker) -> bool:
    """Whether the two are far enough apart along the longer side for a clear order."""
    longer, shorter = max(scene.width, scene.height), min(scene.width, scene.height)
    return abs(_along(scene, there) - _along(scene, here)) * longer >= STEP * shorter


def _named(rng: random.Random, scene: Scene, stickers: Sequence[Sticker]) -> tuple[str, Sticker] | None:
    """A sticker whose name is unambiguous, and the name."""
    choices = [(name, s) for s in stickers if (name := called(rng, scene, s))]
    return rng.choice(choices) if choices else None
