"""Documents for pre-training: pictures with their texts and boxes, without instructions."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from seedx.messages import Box, Image, Message, assistant, system
from seedx_stickers.art import BACKGROUNDS, OBJECTS
from seedx_stickers.scenes import TILE, Scene, box, held_out
from seedx_stickers.signs import sign_box
from seedx_stickers.tasks.drawing import draw
from seedx_stickers.tasks.questions import absent
from seedx_stickers.tasks.reading import caption_turn, left_to_right, other_size, scene_to_read
from seedx_stickers.tasks.signs import text, with_sign


def captioned(rng: random.Random) -> list[Message[Scene]]:
    """A picture and its caption, in either order."""
    if rng.random() < 0.5:
        while not (turn := caption_turn(rng, scene := scene_to_read(rng, False, any_size=0.5))):
            pass
        return [system(Image(scene)), assistant(turn[1])]
    example = draw(rng, False)
    target: Scene = example.scenes[-1]
    words = "".join(part.text for part in example.messages[0].content)  # type: ignore[union-attr]
    return [system(words), assistant(Image(target))]


def grounded(rng: random.Random, any_size: float = 0.25) -> list[Message[Scene]]:
    """A picture, and the boxes of all that is in it, from left to right."""
    scene = scene_to_read(rng, False, any_size)
    return [system(Image(scene)), assistant(*(Box(box(scene, s), s.name) for s in left_to_right(scene)))]


def probed(rng: random.Random, any_size: float = 0.3) -> list[Message[Scene]]:
    """A picture, and for each of several names its number and boxes; half of the names are absent.

    Finding things by name is learned last by a language model. This trains it some ten times for each picture.
    """
    scene = scene_to_read(rng, False, any_size)
    there = [s.name for s in scene.stickers] + [thing for s in scene.stickers for thing in s.wears]
    kinds = [kind for name in there if (kind := OBJECTS[name].kind) != name]
    names = {*there, *kinds}
    names |= {absent(rng, scene) for _ in names} - {OBJECTS[name].kind for name in there}
    messages = [system(Image(scene))]
    for name in rng.sample(sorted(names), len(names)):
        found = [s for s in left_to_right(scene) if name in (s.name, OBJECTS[s.name].kind)]
        worn = sum(name in s.wears for s in scene.stickers)
        messages += [system(f" {name}:"), assistant(f" {len(found) + worn}", *(Box(box(scene, s)) for s in found))]
    return messages


def printed(rng: random.Random, any_size: float = 0.0) -> list[Message[Scene]]:
    """A picture full of signs, and the texts of the signs with their boxes, from top to bottom."""
    background = rng.choice(list(BACKGROUNDS))
    wide, high = other_size(rng) if rng.random() < any_size else (TILE, TILE)
    scene = Scene(wide, high, background, ())
    for _ in range(rng.randint(2, 6)):
        word = text(rng)
        if not held_out(word, background) and word not in [sign.text for sign in scene.signs]:
            scene = with_sign(rng, scene, word) or scene
    if not scene.signs:
        return printed(rng, any_size)
    ordered = sorted(scene.signs, key=lambda sign: sign.y)
    return [system(Image(scene)), assistant(*(Box(sign_box(sign, wide, high), sign.text) for sign in ordered))]


DOCUMENTS: dict[str, Callable[[random.Random], list[Message[Scene]]]] = {
    "pretrain": captioned,
    "grounded": grounded,
    "grounded:tiled": partial(grounded, any_size=1.0),
    "probed": probed,
    "probed:tiled": partial(probed, any_size=1.0),
    "printed": printed,
    "printed:tiled": partial(printed, any_size=1.0),
}
