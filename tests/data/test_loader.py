from __future__ import annotations

import json

import pytest
from counted import ROW, encode

from seedx.data.loader import Loader
from seedx.data.sample_errors import SampleErrors
from seedx.data.shard_reader import Data

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than cores
STREAMS = 8
MIXTURE = (
    Data("counted.open_numbers:faulty/300/20", weight=2.0),
    Data("counted.open_numbers:b/50/3", limit=30),
    Data("counted.open_numbers:c/9/1", epochs=40),
)
FINITE = (Data("counted.open_numbers:faulty/60/5", epochs=1), Data("counted.open_numbers:b/9/3", epochs=2))


def loader(data=MIXTURE, encode=encode, **options):
    return Loader(data, encode, seed=1, row=ROW, streams=STREAMS, **options)


def rows(count, ranks=1, workers=0, state=None, data=MIXTURE):
    """The next `count` rows of the whole run as lists of keys, and the state after them in JSON."""
    taken, states = [], {}
    for rank in range(ranks):
        one = loader(data, rank=rank, ranks=ranks, workers=workers, state=json.loads(json.dumps(state)))
        taken.append([row.keys for _, row in zip(range(count // ranks), one, strict=False)])
        states |= one.state
    return [row for turn in zip(*taken, strict=True) for row in turn], states


def test_the_same_rows_for_any_workers_and_ranks_also_resumed():
    whole, _ = rows(60)
    assert len({key for row in whole for key in row}) > 150
    state, got = None, []
    for count, ranks, workers in ((9, 1, 0), (13, 1, 2), (10, 2, 0), (4, 4, 1), (13, 1, 4), (11, 1, 0)):
        part, state = rows(count, ranks, workers, state)
        got += part
    assert got == whole


def test_the_rows_of_ranks_interleave():
    whole, _ = rows(16)
    second = loader(rank=1, ranks=2, workers=2)
    assert [row.keys for _, row in zip(range(8), second, strict=False)] == whole[1::2]
    assert list(second.state) == [1, 3, 5, 7]


@pytest.mark.parametrize("workers", [2, 4])
def test_finite_data(workers):
    """The same rows in the same order and every sample counted, although streams end at different rows."""
    alone, shared = loader(FINITE), loader(FINITE, workers=workers)
    whole = list(alone)
    assert [row.keys for row in shared] == [row.keys for row in whole]
    for one in (alone, shared):
        total = SampleErrors()
        for row in whole:
            total.merge(row.sample_errors)
        total.merge(one.sample_errors)
        assert total.counts == {"broken json": 9, "too long": 1} and total.used == 60 + 2 * 9 - 10


def test_finite_data_resumed_near_its_end():
    whole = [row.keys for row in loader(FINITE)]
    for stop in range(len(whole) - 9, len(whole)):
        first = loader(FINITE)
        assert [row.keys for _, row in zip(range(stop), first, strict=False)] == whole[:stop]
        assert [row.keys for row in loader(FINITE, state=first.state)] == whole[stop:]


def test_iterated_again_it_continues():
    whole, _ = rows(12)
    one = loader()
    assert [row.keys for _ in range(3) for _, row in zip(range(4), one, strict=False)] == whole


def test_files_with_a_broken_line(tmp_path):
    """The same without `numbers`: positions are bytes in a file, which is split so that every stream has parts."""
    lines = [json.dumps({"messages": [{"role": "assistant", "content": str(i)}]}) for i in range(100)]
    lines[7] = lines[7][:20]
    (tmp_path / "talk.jsonl").write_text("\n".join(lines) + "\n")
    data = [Data(str(tmp_path / "*.jsonl"), epochs=1)]
    whole = list(loader(data))
    keys = sorted(key for row in whole for key in row.keys)
    assert len(set(keys)) == len(keys) == 97  # 39 and 79 are too long
    first = loader(data, workers=2)
    assert [row.keys for _, row in zip(range(9), first, strict=False)] == [row.keys for row in whole[:9]]
    rest = loader(data, state=json.loads(json.dumps(first.state)))
    assert [row.keys for row in rest] == [row.keys for row in whole[9:]]


@pytest.mark.parametrize("workers", [0, 1])
def test_errors_of_workers_keep_their_messages(workers):
    def fail(messages):
        return {}["images"]

    with pytest.raises(ValueError, match=r"no document in 1000 samples.* unexpected error \(KeyError: 'images'\)"):
        next(iter(loader(MIXTURE[1:2], encode=fail, workers=workers)))
    with pytest.raises(ValueError, match=r"^counted.open_numbers:b/50/3 as messages gave no document in 1000 samples"):
        next(iter(loader(MIXTURE[1:2], encode=lambda messages: None, workers=workers)))


def test_users_mistakes():
    with pytest.raises(
        ValueError, match=r"8 streams can't be divided evenly among 2 ranks of 3 readers: .* multiple of 6"
    ):
        loader(ranks=2, workers=3)
    with pytest.raises(ValueError, match="no data to train on"):
        loader(())
    with pytest.raises(ValueError, match=r"has no state of the streams \[0, 2, 4, 6\]"):
        loader(state={number: state for number, state in rows(16)[1].items() if number % 2})
    with pytest.raises(ValueError, match="made with 8 streams, not 4"):
        list(Loader(MIXTURE, encode, seed=1, row=ROW, streams=4, state=rows(8)[1]))
