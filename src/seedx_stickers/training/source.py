"""The data source "stickers:KIND": an endless stream of examples of one task, generated as it is read.

Record n of a unit depends on the name of the unit, n and the seed of the run alone, so a position is one number and a
worker has no state. Pictures are scenes, which are rendered when they are opened.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from seedx.config import nearest
from seedx.data.record import Record
from seedx.data.sources import Unit
from seedx.errors import SeedxError
from seedx.messages import Image, Message, Part, Text, to_json
from seedx_stickers import tasks
from seedx_stickers.layout import plan
from seedx_stickers.scenes import Scene
from seedx_stickers.tasks import grammar
from seedx_stickers.tasks.documents import DOCUMENTS

GRAMMAR = "grammar:"  # before the kinds of `tasks.grammar`
KINDS = (
    *(*DOCUMENTS, *tasks.MANY_TURNS, *tasks.KINDS, *tasks.PARTS),
    *(f"{GRAMMAR}{kind}" for kind in (*grammar.KINDS, *grammar.PARTS)),
)


class Generated(Record):
    """A record whose pictures are scenes, not files."""

    def image(self, value: Any) -> Any:
        return value


@dataclass(frozen=True)
class Endless:
    """A unit of a data source (`seedx.data.sources.Unit`)."""

    kind: str
    number: int
    seed: str

    @property
    def name(self) -> str:
        return f"stickers:{self.kind}/{self.number}"

    def read(self, position: int | None = None) -> Iterator[tuple[int, Record]]:
        for n in count(position or 0):
            where = f"{self.name}/{n}"
            yield n + 1, Generated(where, to_json(_conversation(self.kind, random.Random(f"{self.seed}/{where}"))))


def units(kind: str, parts: int, run: str) -> list[Unit]:
    """The units of "stickers:KIND", an entry point of the group seedx.sources."""
    if kind not in KINDS:
        raise SeedxError(f"there is no task stickers:{kind}{nearest(kind, KINDS)}")
    return [Endless(kind, number, run) for number in range(parts)]


def _conversation(kind: str, rng: random.Random) -> list[Message[Scene]]:
    if kind.startswith(GRAMMAR):
        return _planned(grammar.training(rng, kind.removeprefix(GRAMMAR)).messages)
    return _planned(DOCUMENTS[kind](rng) if kind in DOCUMENTS else tasks.mixture(rng, {kind: 1.0}).messages)


def _planned(messages: list[Message[Scene]]) -> list[Message[Scene]]:
    """With a plan for each image that is drawn from words alone. An edit keeps to the picture given and has none."""
    if any(isinstance(part, Image) for message in messages if message.role != "assistant" for part in message.content):
        return messages

    def with_plan(part: Part[Scene]) -> Part[Scene]:
        return dataclasses.replace(part, plan=plan(part.image)) if isinstance(part, Image) else part

    return [dataclasses.replace(message, content=tuple(map(with_plan, message.content))) for message in messages]


def corpus() -> Iterable[str]:
    """Texts of the tasks, to train a tokenizer on."""
    return tasks.texts(20000, seed=1)


def grammar_corpus() -> Iterable[str]:
    """The same, with the words of the grammar and of what can't be done, in small letters."""
    yield from corpus()
    rng = random.Random(2)
    for _ in range(20000):
        example = grammar.sample(rng, rng.choice(list(grammar.KINDS)), plain=True)
        yield from (part.text for message in example.messages for part in message.content if isinstance(part, Text))
