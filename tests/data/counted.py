"""A source of numbered samples without files, and an encoder without a tokenizer."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from seedx.batch import Encoded
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError
from seedx.messages import Message, Text

ROW = 256


@dataclass(frozen=True)
class Numbers:
    """Samples `first` to `last` of a source; one of seven is broken if "faulty" is in its name."""

    name: str
    first: int
    last: int

    def read(self, position: Any = None) -> Iterator[tuple[Any, Record | SampleError]]:
        for number in range(self.first if position is None else position, self.last):
            where = f"{self.name.partition('/')[0]}:{number}"
            broken = "faulty" in self.name and number % 7 == 3
            message = {"role": "assistant", "content": str(number)}
            yield number + 1, SampleError("broken json", where) if broken else Record(where, {"messages": [message]})


def open_numbers(rest: str, parts: int, run: str = "") -> list[Numbers]:
    """`counted.open_numbers:NAME/SAMPLES/UNITS`."""
    name, samples, units = rest.split("/")
    borders = [round(int(samples) * i / int(units)) for i in range(int(units) + 1)]
    return [Numbers(f"{name}/{i}", a, b) for i, (a, b) in enumerate(itertools.pairwise(borders))]


def encode(messages: list[Message]) -> Encoded | None:
    """As many tokens as a short conversation has, all of them the sample's number; None for one of forty."""
    part = messages[0].content[0]
    assert isinstance(part, Text)
    number = int(part.text)
    length = min(ROW, int(random.Random(number).lognormvariate(4, 0.6)))
    ids, nothing = torch.full((length,), number), torch.zeros(length, dtype=torch.bool)
    return None if number % 40 == 39 else Encoded(ids, ids.clone(), torch.arange(length), nothing, nothing)
