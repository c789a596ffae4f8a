"""The examples that variants are measured on: tasks of the stickers world from seeds that no training uses.

Every fourth holds a combination of things that no training shows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice

from PIL import Image

from seedx.messages import Image as Picture
from seedx.messages import Text, user
from seedx.stickers import tasks
from seedx.stickers.scenes import TILE, render
from seedx.stickers.tasks import Example, Expected
from seedx.stickers.tasks.reading import scene_to_read

BATCH = 16
SHOWN = 4  # samples that a measurement keeps


def examples(kind: str, seed: int, n: int, suits: Callable[[Example], bool] = lambda example: True) -> list[Example]:
    """The first `n` that suit. `kind` is one of the tasks, or "scene": a picture of one tile and nothing said."""
    made = (_example(kind, random.Random(f"claims/{seed}/{kind}/{i}"), unseen=i % 4 == 0) for i in count())
    return list(islice(filter(suits, made), n))


def _example(kind: str, rng: random.Random, unseen: bool) -> Example:
    if kind != "scene":
        return tasks.sample(rng, kind, unseen)
    scene = scene_to_read(rng, unseen, any_size=0)
    return Example(kind, [user(Picture(scene))], [Expected(source=scene)])


def many_tiles(example: Example) -> bool:
    """Whether the picture is cut into tiles, where tiles are cut at all."""
    return max(example.scenes[0].width, example.scenes[0].height) > TILE


def batches(items: Sequence[Example]) -> Iterator[Sequence[Example]]:
    yield from (items[start : start + BATCH] for start in range(0, len(items), BATCH))


def prompt(example: Example) -> str:
    return "".join(part.text for part in example.messages[0].content if isinstance(part, Text))


def picture(example: Example) -> Image.Image:
    """The one that is read."""
    return render(example.scenes[0])
