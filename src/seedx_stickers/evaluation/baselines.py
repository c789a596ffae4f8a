"""Answers made without a model, to compare scores with.

Chance gives the right answer of another example of the same type. A baseline gives the best answer that needs neither
the picture nor the prompt: the most frequent answer, a copy of the picture, the picture of the nearest training prompt.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from seedx.inference.reply import Reply
from seedx.messages import Box, Text
from seedx.tokens import boxes_to_text
from seedx_stickers.evaluation.item import Item
from seedx_stickers.evaluation.model import Answer
from seedx_stickers.evaluation.protocols import picture_reply
from seedx_stickers.tasks import normalise


class Pool:
    """Training examples, to answer from."""

    def __init__(self, items: list[Item]) -> None:
        self.items = items
        self._by_type: dict[str, list[Item]] = defaultdict(list)
        for item in items:
            self._by_type[item.expected.type].append(item)
        self._words = [(item.example.kind, words(item.prompt)) for item in items]
        self._majority: dict[str, str] = {}

    def of_type(self, item: Item) -> list[Item]:
        """The examples whose answer is of the same type; all examples if there are none."""
        return self._by_type.get(item.expected.type) or self.items

    def majority(self, item: Item) -> str:
        """The most frequent answer to questions of this type."""
        type_ = item.expected.type
        if type_ not in self._majority:
            counts = Counter(normalise(other.expected.text) for other in self.of_type(item))
            self._majority[type_] = counts.most_common(1)[0][0]
        return self._majority[type_]

    def nearest(self, item: Item) -> Item:
        """The example of the same kind whose prompt has the largest share of common words; the first one on a tie."""
        own = words(item.prompt)
        shares = [
            len(own & theirs) / max(1, len(own | theirs)) * (kind == item.example.kind) for kind, theirs in self._words
        ]
        return self.items[max(range(len(shares)), key=shares.__getitem__)]


@dataclass(frozen=True)
class Baseline:
    """`name` is its name in the table of scores."""

    name: str
    answer: Callable[[Item, Pool], Answer]


def words(prompt: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", prompt.lower()))


def by_chance(item: Item, pool: Pool) -> Answer:
    rng = random.Random(f"chance/{item.seed}")
    return rng.choice(pool.of_type(item)).truth


def _majority(item: Item, pool: Pool) -> Answer:
    return (Reply((Text(pool.majority(item)),)),)


def _nearest(item: Item, pool: Pool) -> Answer:
    return pool.nearest(item).truth


def _copy(item: Item, pool: Pool) -> Answer:
    """The last given picture, in every turn."""
    return (picture_reply(item.pictures[-1]),) * len(item.turns)


def _whole(item: Item, pool: Pool) -> Answer:
    return (Reply((Text(boxes_to_text([Box((0.0, 0.0, 1.0, 1.0))])),)),)


def _mean_colour(item: Item, pool: Pool) -> Answer:
    """A picture of one colour, the mean of the target."""
    colour = np.asarray(item.pictures[0]).mean(axis=(0, 1)).round().astype(int)
    return (picture_reply(Image.new("RGB", item.pictures[0].size, tuple(colour.tolist()))),)


def _always_text(item: Item, pool: Pool) -> Answer:
    return (Reply((Text("yes"),)),) * len(item.turns)


MAJORITY = Baseline("commonest answer", _majority)
NEAREST = Baseline("nearest prompt in training", _nearest)
COPY = Baseline("copy of the picture", _copy)
WHOLE = Baseline("the whole picture", _whole)
MEAN_COLOUR = Baseline("its mean colour", _mean_colour)
ALWAYS_TEXT = Baseline("always words", _always_text)
