"""No stream is favoured: streams take turns with the odd units of a source that they can't share evenly."""

from dataclasses import dataclass

import pytest

from seedx.data.record import Record
from seedx.data.shard_reader import Data, ShardReader, Source

SAMPLES = 3  # of a unit


@dataclass(frozen=True)
class Numbers:
    """A unit of `SAMPLES` records."""

    number: int

    @property
    def name(self):
        return f"unit-{self.number}"

    def read(self, position=None):
        for n in range(position or 0, SAMPLES):
            yield n + 1, Record(f"{self.name}/{n}", {})


def samples(units, streams, epochs):
    """By stream, the units and epochs of its samples."""
    source = Source("numbers", Data("numbers", epochs=epochs), [Numbers(n) for n in range(units)], lambda *_: [])
    taken = []
    for stream in range(streams):
        reader = ShardReader(source, stream, streams, seed=1, state=None)
        places = []
        while item := reader.next():
            places.append((item[0].unit, item[0].epoch))
        taken.append(places)
    return taken


@pytest.mark.parametrize(("units", "streams"), [(5, 2), (5, 3), (3, 4), (1, 4), (6, 2)])
@pytest.mark.parametrize("epochs", [1, 7, 24])
def test_streams_differ_by_a_unit_at_most(units, streams, epochs):
    taken = samples(units, streams, epochs)
    counts = [len(places) for places in taken]
    assert sum(counts) == SAMPLES * units * epochs
    assert max(counts) - min(counts) <= SAMPLES


def test_every_unit_is_read_once_an_epoch():
    taken = samples(units=5, streams=2, epochs=4)
    assert sorted(place for places in taken for place in places) == [
        (unit, epoch) for unit in range(5) for epoch in range(4) for _ in range(SAMPLES)
    ]


def test_no_stream_has_the_same_units_in_every_epoch():
    for places in samples(units=5, streams=2, epochs=12):
        assert len({frozenset(unit for unit, epoch in places if epoch == n) for n in range(12)}) > 1
