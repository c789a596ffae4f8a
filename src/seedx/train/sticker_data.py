"""The stickers world as data: "stickers:KIND" is an endless source of one of its tasks, made up as it is read.

Record n of a unit follows from the unit's name, n and the run's seed: a position is one number, and a worker holds
nothing. Its pictures are scenes, which `rendered` draws.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import torch

from seedx.config import nearest
from seedx.data.record import Record
from seedx.data.sources import Unit, register
from seedx.messages import Image, Message, to_json
from seedx.stickers import tasks
from seedx.stickers.scenes import Scene, render
from seedx.stickers.tasks.documents import DOCUMENTS

KINDS = (*DOCUMENTS, *tasks.MANY_TURNS, *tasks.KINDS, *tasks.PARTS)


class MadeUp(Record):
    """A record whose pictures are at hand."""

    def image(self, value: Any) -> Any:
        return value


@dataclass(frozen=True)
class Endless:
    """A unit, as `data.sources` has them."""

    kind: str
    number: int
    seed: str

    @property
    def name(self) -> str:
        return f"stickers:{self.kind}/{self.number}"

    def read(self, position: int | None = None) -> Iterator[tuple[int, Record]]:
        for n in count(position or 0):
            where = f"{self.name}/{n}"
            yield n + 1, MadeUp(where, to_json(_conversation(self.kind, random.Random(f"{self.seed}/{where}"))))


def open_stickers(seed: str) -> None:
    """Make "stickers:KIND" a source whose samples are this seed's."""
    register("stickers", partial(_units, seed=seed))


def _units(kind: str, parts: int, seed: str) -> list[Unit]:
    if kind not in KINDS:
        raise ValueError(f"there is no task stickers:{kind}{nearest(kind, KINDS)}")
    return [Endless(kind, number, seed) for number in range(parts)]


def _conversation(kind: str, rng: random.Random) -> list[Message]:
    return DOCUMENTS[kind](rng) if kind in DOCUMENTS else tasks.mixture(rng, {kind: 1.0}).messages


def rendered(messages: list[Message]) -> list[Message]:
    """The messages with their scenes as pixels (3, H, W) uint8; other pictures stay."""

    def ready(part: Any) -> Any:
        if not (isinstance(part, Image) and isinstance(part.image, Scene)):
            return part
        return Image(torch.from_numpy(np.array(render(part.image))).permute(2, 0, 1))

    return [Message(message.role, tuple(map(ready, message.content))) for message in messages]
