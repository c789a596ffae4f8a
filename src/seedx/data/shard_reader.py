"""The samples of one source for one stream: shards are shuffled in every epoch and assigned to the streams in turn.

The turn continues from one epoch to the next, so that no stream gets more than others even if there are fewer units
(shards or parts of them) than streams. Five units a to e, two streams:

    epoch 0, order d b a e c    stream 0: d a c    stream 1: b e
    epoch 1, order a c e d b    stream 0: c d      stream 1: a e b

Each sample is read from a random one of the stream's few open units, which shuffles without a buffer: a checkpoint has
no samples to hold. Random numbers are seeded by counters, so that a position is a handful of numbers:

    {"units": 5, "epoch": 0, "next_unit": 3, "epoch_samples": 17, "total_samples": 17, "open": [[3, 4096], [0, 512]]}
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from seedx.checks import all_finite, integer, number
from seedx.data import formats
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError
from seedx.data.sources import Position, Unit, open_source
from seedx.deprecated import rename_keys
from seedx.errors import SeedxError, shorten
from seedx.messages import Message

OPEN = 4  # units of a source that a stream reads at a time; sources are split so that each stream has as many
START = {"epoch": 0, "next_unit": 0, "epoch_samples": 0, "total_samples": 0, "open": []}


@dataclass(frozen=True)
class Data:
    """One data set of the mixture: a `[[data]]` table of a recipe.

    Attributes:
        source: what `open_source` takes.
        format: a name that `formats.get` knows.
        weight: the data set's fraction of the documents is its weight, divided by the sum of those not used up; the
            recipe's `mixture_temperature` evens the weights out before.
        limit: samples read in an epoch at most, others in every epoch; None for all.
        epochs: the data set is used up after so many; None for never.
        options: the format's.
        label: what the log calls it; the source if it is empty. Losses of tables with one label are logged together.
    """

    source: str
    format: str = "messages"
    weight: float = 1.0
    limit: int | None = None
    epochs: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    label: str = ""

    def __post_init__(self) -> None:
        if not all(isinstance(text, str) for text in (self.source, self.format, self.label)):
            given = ", ".join(shorten(value) for value in (self.source, self.format, self.label))
            raise SeedxError(f"source, format and label of data are texts, not {given}")
        where = f"of the data {shorten(self.source)}"
        object.__setattr__(self, "weight", number(f"weight {where}", self.weight))
        for name in ("limit", "epochs"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, integer(f"{name} {where}", getattr(self, name)))
        all_finite(f"options {where}", self.options)
        for name, value, right in (
            ("weight", self.weight, self.weight > 0),
            ("limit", self.limit, self.limit is None or self.limit > 0),
            ("epochs", self.epochs, self.epochs is None or self.epochs > 0),
        ):
            if not right:
                raise SeedxError(f"{name} of the data {self.source!r} must be above 0, not {value}: or leave it out")

    @property
    def name(self) -> str:
        """What the log calls it."""
        return self.label or self.source


def tempered(mixture: Sequence[Data], temperature: float) -> tuple[Data, ...]:
    """The mixture with each weight to the power of 1 / temperature.

    With numbers of samples as weights, 1 takes every sample as often as any other, and higher temperatures take small
    data sets more often, up to equal shares of all:

        weights 900 and 100    temperature 1: 90 % and 10 %    2: 75 % and 25 %    5: 61 % and 39 %
    """
    if temperature == 1 or not mixture:
        return tuple(mixture)
    largest = max(data.weight for data in mixture)  # relative to it, no power is too large for a float
    powers = [max((data.weight / largest) ** (1 / temperature), 1e-300) for data in mixture]
    return tuple(dataclasses.replace(data, weight=power) for data, power in zip(mixture, powers, strict=True))


def shares(mixture: Sequence[Data]) -> list[float]:
    """The fraction of the documents that each data set gives, 0 to 1, while none is used up."""
    total = sum(data.weight for data in mixture)
    return [data.weight / total for data in mixture]


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


class ShardReader:
    """The samples of a source that one stream reads. See the top of the file."""

    def __init__(self, source: Source, stream: int, streams: int, seed: int, state: dict[str, Any] | None) -> None:
        state = rename_keys("shard reader state", state or START | {"units": len(source.units)})
        if state["units"] != len(source.units):
            raise SeedxError(
                f"{source.name}: the checkpoint was made with {state['units']} shards or parts of them, now there are "
                f"{len(source.units)}: restore the files as they were, or start a new run"
            )
        self.source, self.stream, self.streams, self.seed = source, stream, streams, seed
        self.epoch, self.next_unit = int(state["epoch"]), int(state["next_unit"])
        self.epoch_samples, self.total_samples = int(state["epoch_samples"]), int(state["total_samples"])
        self.open = [_OpenUnit(source.units[number], number, position) for number, position in state["open"]]
        self._assign()

    def next(self) -> tuple[Place, Record | SampleError] | None:
        """The next sample; None once the source is used up.

        Raises:
            SeedxError: there is none in an endless source.
        """
        start = self.epoch
        while self._open_units():
            if self.epoch - start > 100 * self.streams:  # long after every unit was assigned to every stream
                raise SeedxError(f"{self.source.name}: its {len(self.source.units)} shards hold no sample")
            rng = random.Random(f"{self.seed} {self.stream} {self.total_samples}")
            unit = self.open[rng.randrange(len(self.open))]
            before = unit.position
            item = unit.next()
            if item is not None:
                self.epoch_samples += 1
                self.total_samples += 1
                return Place(unit.number, before, self.epoch), item
            self.open.remove(unit)
        return None

    def messages(self, record: Record, place: Place) -> list[Message]:
        """The format's random choices depend on the sample and the epoch alone, not on the stream."""
        seed = f"{self.seed} {self.source.name} {record.where} {place.epoch}"
        return self.source.format(record, random.Random(seed.encode(errors="surrogatepass")))  # of any file name

    def read_again(self, place: Place) -> Record | SampleError:
        """The sample at a place that `next` gave."""
        unit = self.source.units[place.unit]
        item = _OpenUnit(unit, place.unit, place.position).next()
        return item or SampleError("changed", unit.name, "a sample read before is no longer there")

    @property
    def state(self) -> dict[str, Any]:
        return {
            "units": len(self.source.units),
            "epoch": self.epoch,
            "next_unit": self.next_unit,
            "epoch_samples": self.epoch_samples,
            "total_samples": self.total_samples,
            "open": [[unit.number, unit.position] for unit in self.open],
        }

    def _open_units(self) -> bool:
        """Keep `OPEN` units open, those of the next epoch once this one is over. False: the source is used up."""
        while True:
            if self.epoch_limit is not None and self.epoch_samples >= self.epoch_limit:
                self.open, self.next_unit = [], len(self.assigned)
            while len(self.open) < OPEN and self.next_unit < len(self.assigned):
                number = self.assigned[self.next_unit]
                self.open.append(_OpenUnit(self.source.units[number], number, None))
                self.next_unit += 1
            if self.open:
                return True
            if self.epoch + 1 == self.source.data.epochs:
                return False
            self.epoch, self.next_unit, self.epoch_samples = self.epoch + 1, 0, 0
            self._assign()

    def _assign(self) -> None:
        """This stream's units in this epoch, shuffled, and its part of the limit."""
        units, limit = len(self.source.units), self.source.data.limit
        order = list(range(units))
        random.Random(f"{self.seed} {self.source.name} {self.epoch}").shuffle(order)
        first = (self.stream - self.epoch * units) % self.streams  # this stream's first place in the order
        self.assigned = order[first :: self.streams]
        readers = min(units, self.streams)  # streams with a unit in this epoch
        rest = 0 if limit is None else limit % readers  # samples that only some readers get, others in every epoch
        extra = (first - self.epoch * rest) % readers < rest
        self.epoch_limit = None if limit is None else limit // readers + extra


class _OpenUnit:
    """A unit that is being read. Its file is opened at the first sample."""

    def __init__(self, unit: Unit, number: int, position: Position) -> None:
        self.unit, self.number, self.position = unit, number, position
        self.items: Iterator[tuple[Position, Record | SampleError]] | None = None

    def next(self) -> Record | SampleError | None:
        self.items = self.items or iter(self.unit.read(self.position))
        self.position, item = next(self.items, (self.position, None))
        return item
