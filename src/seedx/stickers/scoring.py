"""Scores of the stickers world: what is right, and how right.

Every function compares one answer with the truth. `evaluate.py` asks the model and averages.
"""

from __future__ import annotations

import math

from seedx.stickers.art import aspect
from seedx.stickers.judge import Seen, Sighting
from seedx.stickers.scenes import Scene, worn_box


def truth(scene: Scene) -> Seen:
    """What an infallible judge would see in a render of the scene."""
    seen = []
    for sticker in scene.stickers:
        seen.append(Sighting(sticker.name, sticker.x, sticker.y, sticker.size))
        for thing in sticker.wears:
            x0, y0, x1, y1 = worn_box(scene, sticker, thing)
            size = (x1 - x0) * scene.width * max(1.0, 1 / aspect(thing)) / min(scene.width, scene.height)
            seen.append(Sighting(thing, (x0 + x1) / 2, (y0 + y1) / 2, size))
    return Seen(tuple(seen), scene.background)


def found(wanted: tuple[Sighting, ...], seen: tuple[Sighting, ...], near: float = math.inf) -> list[Sighting | None]:
    """For each wanted object, the seen one of its name that is nearest, each used once; None where there is none within
    `near` (a fraction of the picture)."""
    pairs = [(math.dist((a.x, a.y), (b.x, b.y)), i, j) for i, a in enumerate(wanted) for j, b in enumerate(seen) if a.name == b.name]
    matches: list[Sighting | None] = [None] * len(wanted)
    used: set[int] = set()
    for distance, i, j in sorted(pairs):
        if matches[i] is None and j not in used and distance <= near:
            matches[i] = seen[j]
            used.add(j)
    return matches
