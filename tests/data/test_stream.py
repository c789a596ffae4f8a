from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from counted import ROW, encode, open_numbers

from seedx.batch import concatenate
from seedx.data.sample_errors import SampleError, SampleErrors
from seedx.data.shard_reader import OPEN, Data, ShardReader, Source
from seedx.data.stream import Stream
from seedx.images import ImageError
from seedx.messages import from_json


def plain(record, draws):
    return from_json(record.fields)


def source(text="good/200/12", format=plain, **options):
    return Source(text, Data(text, **options), open_numbers(text, 1), format)


def stream(*sources, number=0, streams=1, state=None, encode=encode, row=ROW, **options):
    return Stream(sources, encode, number=number, streams=streams, seed=5, row=row, state=state, **options)


def readers(one, streams, seed=0):
    return [ShardReader(one, number, streams, seed, None) for number in range(streams)]


@pytest.mark.parametrize(("units", "streams"), [(12, 4), (13, 4), (3, 4), (1, 5)])
def test_every_sample_once_in_an_epoch(units, streams):
    seen = Counter()
    for reader in readers(source(f"good/100/{units}", epochs=3), streams):
        while (sample := reader.next()) is not None:
            seen[sample[0].epoch, sample[1].where] += 1
    assert seen == {(epoch, f"good:{number}"): 1 for epoch in range(3) for number in range(100)}


def test_epochs_differ_and_units_are_read_in_turns():
    reader = ShardReader(source("good/100/10", epochs=2), 0, 1, 0, None)
    order = [reader.next()[1].where for _ in range(200)]
    assert order[:100] != order[100:] and sorted(order[:100]) == sorted(order[100:])
    assert len({where.partition(":")[2].zfill(2)[0] for where in order[:12]}) == OPEN


@pytest.mark.parametrize(("limit", "streams"), [(30, 4), (3, 4), (95, 4), (500, 4), (1, 8)])
def test_a_limit_holds_for_each_epoch_over_all_streams(limit, streams):
    epochs = [Counter() for _ in range(3)]
    for reader in readers(source("good/96/12", limit=limit, epochs=3), streams):
        while (sample := reader.next()) is not None:
            epochs[sample[0].epoch][sample[1].where] += 1
    assert [seen.total() for seen in epochs] == [min(limit, 96)] * 3
    assert all(count == 1 for seen in epochs for count in seen.values())
    assert limit >= 96 or len({frozenset(seen) for seen in epochs}) > 1


def test_weights_hold_for_documents():
    """Even if most of a source is refused."""

    def picky(record, draws):
        if draws.random() < 0.7:
            raise SampleError("filtered", record.where)
        return plain(record, draws)

    mixed = stream(source("a/50/4", weight=3.0, format=picky), source("b/50/4"))
    counts = Counter(key[0] for _, row in zip(range(500), mixed, strict=False) for key in row.keys)
    assert counts.total() > 1500 and abs(counts["a"] / counts.total() - 0.75) < 0.04


def test_a_used_up_source_leaves_the_mixture_and_all_end_the_stream():
    rows = list(stream(source("a/30/3", epochs=1), source("b/30/3", epochs=2)))
    counts = Counter(key for row in rows for key in row.keys)
    assert {counts[f"a:{i}"] for i in range(30)} == {1} and {counts[f"b:{i}"] for i in range(30)} == {2}


def test_padding_is_a_few_tokens():
    rows = [row for _, row in zip(range(100), stream(source("good/2000/20")), strict=False)]
    filled = sum(len(row.encoded) for row in rows)
    assert 0.97 < filled / (100 * ROW) <= 1
    assert all(row.documents == (row.encoded.position_ids == 0).sum() for row in rows)
    assert all(f"good:{row.encoded.input_ids[0]}" == row.keys[0] for row in rows)


def test_every_sample_is_counted():
    one = stream(source("faulty/210/5", epochs=1))
    total = SampleErrors()
    for row in one:
        total.merge(row.sample_errors)
    total.merge(one.sample_errors)
    too_long = sum(number % 40 == 39 and number % 7 != 3 for number in range(210))
    assert total.counts == {"broken json": 30, "too long": too_long} and total.used == 210 - 30 - too_long
    assert total.examples["broken json"][0].startswith("faulty:")


def test_a_truncated_document_is_used_and_counted():
    rows = list(stream(source("good/20/1", epochs=1), encode=lambda m: replace(encode(m), truncated=True)))
    assert sum(row.documents for row in rows) == 20
    assert sum(row.sample_errors.used for row in rows) == 20
    assert sum(row.sample_errors.counts.get("truncated", 0) for row in rows) == 20


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ImageError("damaged"), "broken image"),
        (OSError("truncated"), "broken image"),
        (ValueError("empty"), "bad format"),
        (SampleError("odd", "there"), "odd"),
    ],
)
def test_errors_of_the_encoder_are_sample_errors(error, cause):
    def fail(messages):
        raise error

    one = stream(source("good/20/1", epochs=1), encode=fail)
    assert list(one) == [] and one.sample_errors.counts == {cause: 20}


def test_a_missing_picture_is_a_missing_file():
    def fail(messages):
        raise ImageError("no such picture") from FileNotFoundError()

    one = stream(source("good/3/1", epochs=1), encode=fail)
    assert list(one) == [] and one.sample_errors.counts == {"missing file": 3}


def test_an_unforeseen_error_names_the_sample():
    def fail(messages):
        return {}["images"]

    with pytest.raises(
        ValueError, match=r"no document in 1000 samples.*good:\d: unexpected error \(KeyError: 'images'\)"
    ):
        next(iter(stream(source("good/9/1"), encode=fail)))


def test_a_stream_resumed_after_any_row_gives_the_same_rows():
    limited = source("b/30/2", limit=11, epochs=4)
    mixture = source("faulty/60/7", epochs=3, weight=2.0), limited, source("c/9/1", epochs=2)
    whole = list(stream(*mixture, number=1, streams=2))
    ids = [row.encoded.input_ids.tolist() for row in whole]
    assert len(whole) > 15
    for stop in range(len(whole)):
        state = json.loads(json.dumps(whole[stop].state))
        rest = list(stream(*mixture, number=1, streams=2, state=state))
        assert [row.keys for row in rest] == [row.keys for row in whole[stop + 1 :]]
        assert [row.state for row in rest] == [row.state for row in whole[stop + 1 :]]
        assert [row.encoded.input_ids.tolist() for row in rest] == ids[stop + 1 :]


def test_sample_errors_are_counted_once_over_a_resumption():
    whole = list(stream(source("faulty/120/7", epochs=1)))
    rest = list(stream(source("faulty/120/7", epochs=1), state=whole[4].state))
    assert [row.sample_errors for row in rest] == [row.sample_errors for row in whole[5:]]


def test_a_state_of_an_older_version_resumes_the_same_rows():
    """Version 0.1 wrote other names."""
    mixture = source("faulty/60/7", epochs=3, weight=2.0), source("b/30/2", epochs=1)
    whole = list(stream(*mixture))
    state = json.loads(json.dumps(whole[7].state))
    old = {("of" if key == "streams" else key): value for key, value in state.items()}
    old_names = {"next_unit": "dealt", "epoch_samples": "taken", "total_samples": "samples"}
    old["sources"] = {
        name: reader and {old_names.get(key, key): value for key, value in reader.items()}
        for name, reader in state["sources"].items()
    }
    assert set(old["sources"]["faulty/60/7"]) == {"units", "epoch", "dealt", "taken", "samples", "open"}
    rest = list(stream(*mixture, state=old))
    assert [row.keys for row in rest] == [row.keys for row in whole[8:]]
    assert [row.state for row in rest] == [row.state for row in whole[8:]]


def test_a_state_is_small():
    names = [f"s3://bucket/a/long/folder/with/shards-{i}/4000/200" for i in range(5)]
    mixture = [Source(name, Data(name), open_numbers("shards/40000/200", 1), plain) for name in names]
    rows = [next(iter(stream(*mixture, number=number, streams=16))) for number in range(16)]
    assert len(json.dumps([row.state for row in rows])) < 50_000


def test_a_sample_that_changed_since_the_checkpoint_is_dropped_and_counted():
    def longer(messages):
        document = encode(messages)
        return document and concatenate([document, document])

    state = next(iter(stream(source("good/40/2", epochs=1)))).state
    total = SampleErrors()
    for row in stream(source("good/40/2", epochs=1), state=state, encode=longer, row=2 * ROW):
        total.merge(row.sample_errors)
    assert total.counts["changed"] == len(state["waiting"]) > 3 and total.used > 3


def test_users_mistakes():
    state = next(iter(stream(source("good/40/2")))).state
    with pytest.raises(ValueError, match="made with 1 streams, not 2: resume with streams = 1"):
        stream(source("good/40/2"), streams=2, state=state)
    with pytest.raises(ValueError, match="made with 2 shards or parts of them, now there are 3"):
        stream(source("good/40/2")._replace(units=open_numbers("good/40/3", 1)), state=state)
    with pytest.raises(ValueError, match="its 2 shards hold no sample"):
        next(iter(stream(source("good/0/2"))))
    with pytest.raises(ValueError, match=r"gave no document in 1000 samples.*too long: good:"):
        next(iter(stream(source("good/9/2"), encode=lambda messages: None)))
    with pytest.raises(ValueError, match=r"1[0-9].\d% of 1\d\d samples are bad.*broken json"):
        next(iter(stream(source("faulty/400/2"), row=20_000, max_sample_errors=0.05)))
    with pytest.raises(ValueError, match="weight of the data 'a' must be above 0, not 0"):
        Data("a", weight=0)
