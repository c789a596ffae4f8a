"""Scenes as pixels for training."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import torch
from torch import Tensor

from seedx.tiling import CLIP_MEAN, CLIP_STD
from seedx_stickers.art import OBJECTS, WORN
from seedx_stickers.scenes import TILE, Scene, render


def scene_picture(scene: Scene, side: int = TILE) -> Tensor:
    """(3, side, side) uint8."""
    image = render(scene)
    if image.size != (side, side):
        image = image.resize((side, side))
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)


def scene_pixels(scene: Scene, side: int = TILE) -> Tensor:
    """(3, side, side) in -1..1, the input of the autoencoder."""
    return scene_picture(scene, side).float() / 127.5 - 1


def as_tile(pixels: Tensor) -> Tensor:
    """Pixels (..., 3, S, S) in -1..1, normalised for the visual tokenizer."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
    return ((pixels + 1) / 2 - mean) / std


def dress(rng: random.Random, scene: Scene, share: float = 0.3) -> Scene:
    """The scene with a hat or sunglasses on some of its faces."""

    def dressed(name: str) -> tuple[str, ...]:
        return (rng.choice(list(WORN)),) if OBJECTS[name].face and rng.random() < share else ()

    return scene.with_stickers(*(dataclasses.replace(s, wears=dressed(s.name)) for s in scene.stickers))
