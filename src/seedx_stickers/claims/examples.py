"""The examples that variants are measured on: tasks of the stickers world from seeds that no training uses.

Every fourth example contains a combination of things that never occurs in training.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice

from seedx_stickers import tasks
from seedx_stickers.evaluation.abilities import UNSEEN_EVERY, scene_alone
from seedx_stickers.evaluation.item import Item
from seedx_stickers.scenes import TILE

BATCH = 16
SHOWN = 4  # samples of each measurement in the report


def examples(kind: str, seed: int, n: int, suits: Callable[[Item], bool] = lambda item: True) -> list[Item]:
    """The first `n` examples that `suits` accepts. `kind` is a task, or "scene": a picture of one tile without text."""
    made = (_item(kind, random.Random(f"claims/{seed}/{kind}/{i}"), i) for i in count())
    return list(islice(filter(suits, made), n))


def _item(kind: str, rng: random.Random, index: int) -> Item:
    unseen = index % UNSEEN_EVERY == 0
    return Item(scene_alone(rng, index, unseen) if kind == "scene" else tasks.sample(rng, kind, unseen), index)


def many_tiles(item: Item) -> bool:
    """Whether the picture is larger than one tile."""
    return max(item.pictures[0].size) > TILE


def batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    yield from (items[start : start + BATCH] for start in range(0, len(items), BATCH))
