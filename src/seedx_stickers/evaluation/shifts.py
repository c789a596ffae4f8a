"""Distribution shifts that keep the right answers: small stickers under noise, coarse JPEG, rotated stickers.

A shift changes scenes before they are rendered, or pixels afterwards. Centres do not move, so that places, sides and
orders stay, and only boxes change; a rotated sticker keeps the box that it has upright.
"""

from __future__ import annotations

import dataclasses
import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image

from seedx.messages import Box, Message, Part
from seedx.messages import Image as Picture
from seedx_stickers.scenes import Corners, Scene, box
from seedx_stickers.tasks import Example, Expected

T = TypeVar("T")

STICKERS = (0.13, 0.18)  # sizes in fractions of the shorter side; training has none below 0.2
SIGNS = (0.1, 0.13)  # heights of signs; training has none below 0.15
NOISE = 12.0  # standard deviation, of 255 levels
QUALITY = 30  # JPEG quality
TURN = 30.0  # degrees, the largest rotation in either direction


@dataclass(frozen=True)
class Shift:
    scene: Callable[[random.Random, Scene], Scene]
    picture: Callable[[random.Random, Image.Image], Image.Image]


def _same(rng: random.Random, value: T) -> T:
    return value


def smaller(rng: random.Random, scene: Scene) -> Scene:
    stickers = tuple(dataclasses.replace(sticker, size=rng.uniform(*STICKERS)) for sticker in scene.stickers)
    signs = tuple(dataclasses.replace(sign, size=rng.uniform(*SIGNS)) for sign in scene.signs)
    return dataclasses.replace(scene, stickers=stickers, signs=signs)


def turned(rng: random.Random, scene: Scene) -> Scene:
    return scene.with_stickers(*(dataclasses.replace(s, turn=rng.uniform(-TURN, TURN)) for s in scene.stickers))


def noisy(rng: random.Random, picture: Image.Image) -> Image.Image:
    pixels = np.asarray(picture, np.float64)
    pixels = pixels + np.random.default_rng(rng.getrandbits(32)).normal(0, NOISE, pixels.shape)
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


def coarse(rng: random.Random, picture: Image.Image) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return Image.open(file).convert("RGB")


UNSHIFTED = Shift(_same, _same)
SHIFTS = {
    "sizes-noise": Shift(smaller, noisy),
    "jpeg": Shift(_same, coarse),
    "rotated": Shift(turned, _same),
}


def shifted(rng: random.Random, example: Example, shift: Shift) -> Example:
    """The example with all scenes changed; equal scenes stay equal."""
    if shift.scene is _same:
        return example
    new: dict[Scene, Scene] = {}
    for scene in example.scenes:
        if scene not in new:
            new[scene] = shift.scene(rng, scene)
    messages = [Message(m.role, tuple(_moved(part, new) for part in m.content)) for m in example.messages]
    return Example(example.kind, messages, [_expected(each, new) for each in example.expected])


def _moved(part: Part[Scene], new: dict[Scene, Scene]) -> Part[Scene]:
    if isinstance(part, Picture):
        return Picture(new[part.image])
    return dataclasses.replace(part, box=_boxes(new)[part.box]) if isinstance(part, Box) else part


def _expected(expected: Expected, new: dict[Scene, Scene]) -> Expected:
    return dataclasses.replace(
        expected,
        source=expected.source and new[expected.source],
        boxes=tuple(dataclasses.replace(each, box=_boxes(new)[each.box]) for each in expected.boxes),
        pictures=tuple(new[scene] for scene in expected.pictures),
    )


def _boxes(new: dict[Scene, Scene]) -> dict[Corners, Corners]:
    """The new box of each old box of a sticker."""
    pairs = ((old, now, *each) for old, now in new.items() for each in zip(old.stickers, now.stickers, strict=True))
    return {box(old, before): box(now, after) for old, now, before, after in pairs}
