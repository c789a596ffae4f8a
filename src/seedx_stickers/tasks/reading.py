"""Scenes to read, and their captions."""

from __future__ import annotations

import dataclasses
import random
from itertools import pairwise

from seedx_stickers.art import BACKGROUNDS, OBJECTS
from seedx_stickers.layout import apart
from seedx_stickers.scenes import TILE, Scene, Sticker, held_out, is_unseen, place_of, sample, sample_size
from seedx_stickers.tasks.words import at, counted, joined, on

COLOURED = [name for name, thing in OBJECTS.items() if thing.colour]
FACES = [name for name, thing in OBJECTS.items() if thing.face]
WEARABLE = [name for name, thing in OBJECTS.items() if thing.wearable]

# Kinds of scenes, by the questions that they allow, and their shares.
FLAVOURS = {"plain": 0.45, "coloured": 0.2, "repeated": 0.25, "wearing": 0.1}

CAPTION_PROMPTS = (
    "describe the picture",
    "describe this image",
    "write a caption for this picture",
    "caption this image",
    "what does the picture show?",
    "what is shown in this image?",
    "tell me about this picture",
    "say what is where in the picture",
    "give a short description of the picture",
    "please describe what you see",
)


def scene_to_read(
    rng: random.Random, unseen: bool | None = False, any_size: float = 0.25, flavour: str | None = None
) -> Scene:
    """A scene of one to four stickers (six on long ones).

    Args:
        any_size: the probability that its size is not one tile.
        flavour: a key of `FLAVOURS`; random by default.
    """
    flavour = flavour or rng.choices(list(FLAVOURS), list(FLAVOURS.values()))[0]
    while True:
        size = other_size(rng) if rng.random() < any_size else (TILE, TILE)
        count = rng.choices((1, 2, 3, 4), (0.15, 0.3, 0.3, 0.25))[0]
        if max(size) >= 2 * min(size):
            count = rng.randint(1, 6)
        background = rng.choice(list(BACKGROUNDS))
        names = _names(rng, count, background, flavour, avoid=unseen is False)
        scene = sample(rng, size, len(names), background, names, unseen=None)
        if flavour == "wearing":
            scene = dressed(rng, scene)
        if len(scene.stickers) == len(names) and unseen in (None, is_unseen(scene)):
            return scene


def other_size(rng: random.Random) -> tuple[int, int]:
    while (size := sample_size(rng)) == (TILE, TILE):
        pass
    return size


def _names(rng: random.Random, count: int, background: str, flavour: str, avoid: bool) -> list[str]:
    first: list[str] = []
    if flavour == "coloured":
        first = [rng.choice(COLOURED)]
    elif flavour == "repeated":
        first = [rng.choice(list(OBJECTS))] * rng.choice((2, 2, 3, 3, 4))
    elif flavour == "wearing":
        first = [rng.choice(FACES)]
    pool = [name for name in OBJECTS if flavour != "wearing" or name not in WEARABLE]
    names = pick_names(rng, max(count, len(first)), background, avoid, first, pool)
    rng.shuffle(names)
    return names


def pick_names(
    rng: random.Random,
    count: int,
    background: str,
    avoid: bool = True,
    first: list[str] | None = None,
    pool: list[str] | None = None,
) -> list[str]:
    """`count` object names, the given ones first and the others different from all before.

    With `avoid`, the added names make no held-out pair, if such names are found.
    """
    names = list(first or [])
    pool = pool or list(OBJECTS)
    while len(names) < count:
        for _ in range(50):
            name = rng.choice(pool)
            if name not in names and not (avoid and any(held_out(name, other) for other in (background, *names))):
                break
        names.append(name)
    return names


def dressed(rng: random.Random, scene: Scene, thing: str | None = None) -> Scene:
    """The scene with `thing`, or a random wearable, on an animal of a unique name, if one is large enough."""
    order = list(range(len(scene.stickers)))
    rng.shuffle(order)
    thing = thing or rng.choice(WEARABLE)
    for index in order:
        sticker = scene.stickers[index]
        alone = sum(other.name == sticker.name for other in scene.stickers) == 1
        if OBJECTS[sticker.name].face and alone and sticker.size >= 0.28:
            worn = with_changed(scene, index, dataclasses.replace(sticker, wears=(thing,)))
            if apart(worn):
                return worn
    return scene


def with_changed(scene: Scene, index: int, sticker: Sticker) -> Scene:
    return scene.with_stickers(*scene.stickers[:index], sticker, *scene.stickers[index + 1 :])


def left_to_right(scene: Scene) -> list[Sticker]:
    return sorted(scene.stickers, key=lambda sticker: sticker.x)


def in_order(scene: Scene, gap: float = 0.03) -> bool:
    """Whether different things are far enough apart along x for a clear order."""
    ordered = left_to_right(scene)
    return all(b.x - a.x >= gap or a.name == b.name for a, b in pairwise(ordered))


def listing(scene: Scene) -> str:
    """ "a cat, a dog and two stars": left to right by centre; equal things are counted at the first of them."""
    groups: dict[tuple[str, tuple[str, ...]], int] = {}
    for sticker in left_to_right(scene):
        groups[sticker.name, sticker.wears] = groups.get((sticker.name, sticker.wears), 0) + 1
    return joined([counted(name, count, wears) for (name, wears), count in groups.items()])


def caption(scene: Scene) -> str:
    """ "a cat on the left and two dogs on the right, on a blue background.": left to right, equal things at one place
    together."""
    groups: dict[tuple[str, tuple[str, ...], str], int] = {}
    for sticker in left_to_right(scene):
        key = sticker.name, sticker.wears, place_of(sticker.x, sticker.y)
        groups[key] = groups.get(key, 0) + 1
    things = [f"{counted(name, count, wears)} {at(place)}" for (name, wears, place), count in groups.items()]
    return f"{joined(things)}, {on(scene.background)}."


def off_border(fraction: float, margin: float) -> bool:
    """Whether a coordinate is far enough from the borders of the thirds."""
    return min(abs(fraction - 1 / 3), abs(fraction - 2 / 3)) >= margin


def caption_turn(rng: random.Random, scene: Scene) -> tuple[str, str] | None:
    """A prompt and the caption; None if the order or a place is ambiguous."""
    clear = all(off_border(s.x, 0.02) and off_border(s.y, 0.02) for s in scene.stickers)
    if not (clear and in_order(scene)):
        return None
    return rng.choice(CAPTION_PROMPTS), caption(scene)
