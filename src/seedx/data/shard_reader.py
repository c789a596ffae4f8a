"""What one stream gets of one source: units dealt like cards in every epoch, a few of them open at a time.

Each epoch has an order of its own, and the dealing goes on where the last epoch's ended, so that no stream is favoured
even if there are fewer units than streams. Five units a to e, two streams:

    epoch 0, order d b a e c    stream 0: d a c    stream 1: b e
    epoch 1, order a c e d b    stream 0: c d      stream 1: a e b

The next sample comes from any of the stream's few open units, which shuffles without a buffer: nothing is held that a
checkpoint would have to hold. Random choices are made by counters, so that a position is a handful of numbers:

    {"units": 5, "epoch": 0, "dealt": 3, "taken": 17, "samples": 17, "open": [[3, 4096], [0, 512]]}
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from seedx.data import formats
from seedx.data.record import Record
from seedx.data.sample_errors import Fault
from seedx.data.sources import Position, Unit, open_source
from seedx.errors import SeedxError
from seedx.messages import Message

OPEN = 4  # units of a source that a stream reads in turns, and has of it in an epoch at least, if that can be


@dataclass(frozen=True)
class Data:
    """A part of the mixture: a `[[data]]` table of a recipe.

    Attributes:
        source: what `open_source` takes.
        format: a name that `formats.get` knows.
        weight: this part's share of the documents is its weight among those of the parts that are not used up.
        limit: samples read in an epoch at most, others in every epoch; None for all.
        epochs: after so many the part is used up; None for never.
        options: the format's.
    """

    source: str
    format: str = "messages"
    weight: float = 1.0
    limit: int | None = None
    epochs: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value, right in (
            ("weight", self.weight, self.weight > 0),
            ("limit", self.limit, self.limit is None or self.limit > 0),
            ("epochs", self.epochs, self.epochs is None or self.epochs > 0),
        ):
            if not right:
                raise SeedxError(f"{name} of the data {self.source!r} must be above 0, not {value}: or leave it out")


class Source(NamedTuple):
    """A `Data` with its units listed and its format at hand. Nothing of it is opened yet."""

    name: str  # unique in the mixture
    data: Data
    units: Sequence[Unit]
    format: Callable[[Record, random.Random], list[Message]]


def open_mixture(mixture: Sequence[Data], streams: int, run: str = "") -> list[Source]:
    """
    Raises:
        SeedxError: no data at all, or what `open_source` and `formats.get` refuse.
    """
    if not mixture:
        raise SeedxError("there is no data to train on: give at least one [[data]] table")
    sources: list[Source] = []
    for data in mixture:
        before = sum((data.source, data.format) == (other.data.source, other.data.format) for other in sources)
        name = f"{data.source} as {data.format}" + (f" ({before + 1})" if before else "")
        units = open_source(data.source, parts=OPEN * streams, run=run)
        sources.append(Source(name, data, units, formats.get(data.format, **data.options)))
    return sources


class Place(NamedTuple):
    """Where a sample is, to find it again. A list in JSON."""

    unit: int
    position: Position  # before the sample
    epoch: int


class Share:
    """See the top of the file."""

    def __init__(self, source: Source, stream: int, streams: int, seed: int, state: dict[str, Any] | None) -> None:
        if state and state["units"] != len(source.units):
            raise SeedxError(
                f"{source.name}: the checkpoint was made with {state['units']} shards or parts of them, now there are "
                f"{len(source.units)}: bring the files back as they were, or start the data anew"
            )
        state = state or {"epoch": 0, "dealt": 0, "taken": 0, "samples": 0, "open": []}
        self.source, self.stream, self.streams, self.seed = source, stream, streams, seed
        self.epoch, self.dealt, self.taken, self.samples = (
            int(state[key]) for key in ("epoch", "dealt", "taken", "samples")
        )
        self.open = [_Open(source.units[number], number, position) for number, position in state["open"]]
        self._deal()

    def take(self) -> tuple[Place, Record | Fault] | None:
        """The next sample; None once the source is used up.

        Raises:
            SeedxError: there is none in an endless source.
        """
        start = self.epoch
        while self._ready():
            if self.epoch - start > 100 * self.streams:  # long after every unit came to every stream
                raise SeedxError(f"{self.source.name}: its {len(self.source.units)} shards hold no sample")
            unit = self.open[random.Random(f"{self.seed} {self.stream} {self.samples}").randrange(len(self.open))]
            before = unit.position
            item = unit.next()
            if item is not None:
                self.taken += 1
                self.samples += 1
                return Place(unit.number, before, self.epoch), item
            self.open.remove(unit)
        return None

    def messages(self, record: Record, place: Place) -> list[Message]:
        """A sample's choices are its own: the same in any stream, others in every epoch."""
        return self.source.format(record, random.Random(f"{self.seed} {self.source.name} {record.where} {place.epoch}"))

    def read_again(self, place: Place) -> Record | Fault:
        """The sample at a place where one was before."""
        item = _Open(self.source.units[place.unit], place.unit, place.position).next()
        return (
            item
            if item is not None
            else Fault("changed", self.source.units[place.unit].name, "a sample read before is no longer there")
        )

    @property
    def state(self) -> dict[str, Any]:
        return {
            "units": len(self.source.units),
            "epoch": self.epoch,
            "dealt": self.dealt,
            "taken": self.taken,
            "samples": self.samples,
            "open": [[unit.number, unit.position] for unit in self.open],
        }

    def _ready(self) -> bool:
        """Open units until there are enough, those of the next epoch once this one is over. False: used up."""
        while True:
            if self.quota is not None and self.taken >= self.quota:
                self.open, self.dealt = [], len(self.cards)
            while len(self.open) < OPEN and self.dealt < len(self.cards):
                number = self.cards[self.dealt]
                self.open.append(_Open(self.source.units[number], number, None))
                self.dealt += 1
            if self.open:
                return True
            if self.epoch + 1 == self.source.data.epochs:
                return False
            self.epoch, self.dealt, self.taken = self.epoch + 1, 0, 0
            self._deal()

    def _deal(self) -> None:
        """The units of this epoch that are this stream's, and its part of the limit."""
        units, limit = len(self.source.units), self.source.data.limit
        order = list(range(units))
        random.Random(f"{self.seed} {self.source.name} {self.epoch}").shuffle(order)
        first = (self.stream - self.epoch * units) % self.streams  # of all players, who is dealt to first?
        self.cards = order[first :: self.streams]
        players = min(units, self.streams)
        odd = 0 if limit is None else limit % players  # samples that go to some of the players alone: deal them too
        self.quota = None if limit is None else limit // players + ((first - self.epoch * odd) % players < odd)


class _Open:
    """A unit that is being read. Its file is opened at the first sample."""

    def __init__(self, unit: Unit, number: int, position: Position) -> None:
        self.unit, self.number, self.position = unit, number, position
        self.items: Iterator[tuple[Position, Record | Fault]] | None = None

    def next(self) -> Record | Fault | None:
        self.items = self.items or iter(self.unit.read(self.position))
        self.position, item = next(self.items, (self.position, None))
        return item
