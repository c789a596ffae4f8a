"""Finding things: the answer is boxes. The prompts differ from those of "where", which asks for a place in words."""

from __future__ import annotations

import random
from itertools import pairwise

from seedx.messages import Box
from seedx_stickers.art import OBJECTS
from seedx_stickers.scenes import Scene, Sticker, box
from seedx_stickers.tasks.reading import left_to_right
from seedx_stickers.tasks.words import called, is_are, plural

ONE = (
    "find the {x}",
    "show me the box of the {x}",
    "point at the {x}",
    "point to the {x}",
    "where {is} the {x}? give a box",
    "give the box of the {x}",
    "locate the {x}",
    "draw a box around the {x}",
    "mark the {x}",
)
ALL = (
    "find all {xs}",
    "find the {xs}",
    "show me the boxes of all {xs}",
    "point at all {xs}",
    "point to every {x}",
    "where are the {xs}? give boxes",
    "give the boxes of all {xs}",
    "locate all {xs}",
    "mark every {x}",
)


def box_turn(rng: random.Random, scene: Scene) -> tuple[str, tuple[Box, ...]] | None:
    """A request for one thing or for all things of a name, and their boxes from left to right, with labels."""
    groups: dict[str, list[Sticker]] = {}
    for sticker in left_to_right(scene):
        groups.setdefault(sticker.name, []).append(sticker)
    several = [name for name, group in groups.items() if len(group) > 1]
    if several and rng.random() < 0.5:
        name = rng.choice(several)
        if _crowded(groups[name]):
            return None
        return rng.choice(ALL).format(x=name, xs=plural(name)), _boxes(scene, groups[name])
    named = [(words, s) for s in scene.stickers if (words := called(rng, scene, s, side=True))]
    if not named:
        return None
    words, sticker = rng.choice(named)
    if OBJECTS[sticker.name].kind == words and rng.random() < 0.1:
        return rng.choice(ALL).format(x=words, xs=plural(words)), _boxes(scene, [sticker])
    return rng.choice(ONE).format(x=words, **{"is": is_are(sticker.name)}), _boxes(scene, [sticker])


def _crowded(ordered: list[Sticker]) -> bool:
    """Whether two of them are too close along x for a clear order."""
    return any(b.x - a.x < 0.03 for a, b in pairwise(ordered))


def _boxes(scene: Scene, stickers: list[Sticker]) -> tuple[Box, ...]:
    return tuple(Box(box(scene, sticker), sticker.name) for sticker in stickers)
