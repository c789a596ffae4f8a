"""The generated samples of the de-tokenizer's training: scenes, and pairs of scenes before and after an edit."""

from __future__ import annotations

import random

from seedx_stickers import tasks
from seedx_stickers.scenes import Scene, sample
from seedx_stickers.tasks import Example
from seedx_stickers.training.pixels import dress

PAIRS = {"edit": 0.5, "edit:replace": 0.15, "edit:wear": 0.15, "try_on": 0.12, "together": 0.08}  # shares


def plain(rng: random.Random) -> Scene:
    """A scene to draw: three in five as text asks for, the others at random."""
    example = asked(rng)
    return example.scenes[-1] if example else dress(rng, sample(rng))


def asked(rng: random.Random) -> Example | None:
    """The example that asks for the scene that `plain` gives for the same generator; None for a random scene."""
    if rng.random() < 0.4:
        return None
    return tasks.mixture(rng, {"draw": 0.5, "draw:unplaced": 0.3, "wish": 0.08, "story": 0.12})


def pair(rng: random.Random) -> Example:
    """An example that edits a picture."""
    return tasks.mixture(rng, PAIRS)


def before(rng: random.Random) -> Scene:
    """The source of the edit that `pair` gives for the same generator."""
    return pair(rng).scenes[-2]


def after(rng: random.Random) -> Scene:
    """Its target."""
    return pair(rng).scenes[-1]
