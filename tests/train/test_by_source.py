"""Losses by source: those of each source's documents alone, whatever rows, micro-batches and ranks they are in."""

import json
from collections import Counter

import pytest
import torch
from toy import RECIPE

from seedx.batch import Encoded, collate
from seedx.data.shard_reader import Data
from seedx.data.stream import Row
from seedx.errors import SeedxError
from seedx.train.engine.gradients import accumulate
from seedx.train.engine.metrics import MetricsLogger
from seedx.train.engine.parallel import World
from seedx.train.recipe import Recipe
from seedx.train.recipe_changes import as_json, differences
from seedx.train.run import build
from seedx.train.stages import by_source

DATA = (Data("stickers:draw", label="drawn"), Data("stickers:question", label="asked"), Data("stickers:box"))


@pytest.fixture(scope="module")
def stage(tiny_folder, tmp_path_factory):
    settings = {"global_batch_size": 4, "micro_batch_size": 2, "streams": 4, "max_seq_len": 200, "bf16": False}
    recipe = Recipe("mixed", "language", init_from=str(tiny_folder), data=DATA, **settings)
    made = build(recipe, tmp_path_factory.mktemp("by_source"))
    made.model.requires_grad_(False).tile_positions.requires_grad_(True)  # a cheap backward pass
    return made


def documents(row, queries):
    """The documents of a packed row, each on its own, with the name of its source."""
    encoded, tiles, targets = row.encoded, 0, 0
    starts = [*(encoded.position_ids == 0).nonzero().flatten().tolist(), len(encoded)]
    for name, start, end in zip(row.names, starts, starts[1:], strict=False):
        part = {f: getattr(encoded, f)[start:end] for f in ("input_ids", "labels", "position_ids")}
        part |= {f: getattr(encoded, f)[start:end] for f in ("read_mask", "draw_mask")}
        read, drawn = (int(part[mask].sum()) // queries for mask in ("read_mask", "draw_mask"))
        if read:
            part["tiles"] = encoded.tiles[tiles : tiles + read]
            part["tile_positions"] = encoded.tile_positions[tiles : tiles + read]
        if drawn:
            part["targets"] = encoded.targets[targets : targets + drawn]
        tiles, targets = tiles + read, targets + drawn
        yield name, Encoded(**part)


def test_they_are_those_of_the_documents_alone(stage):
    rows = [row for row, _ in zip(stage.loader(), range(4), strict=False)]
    assert max(row.documents for row in rows) > 1
    sums, counts = Counter(), Counter()
    for row in rows:
        for name, encoded in documents(row, stage.config.bridge.queries):
            losses = stage.model(collate([encoded], stage.tokenizer.specials.pad))
            for loss in ("text", "image"):
                sums[f"source/{name}/{loss}"] += float(losses.sums[loss].detach())
                counts[f"source/{name}/{loss}"] += losses.counts[loss]
    expected = {name: sums[name] / counts[name] for name in sums if counts[name]}
    micro = next(stage.batches(0, None, 0, 1)).micro
    found, _ = accumulate(stage, micro, stage.recipe, World())
    assert {name for name in expected if name.endswith("text")} == {
        "source/drawn/text",
        "source/asked/text",
        "source/stickers:box/text",
    }
    assert {name: value for name, value in found.items() if name.startswith("source/")} == pytest.approx(
        expected, rel=1e-3, abs=1e-6
    )


def test_they_add_up_over_ranks_and_to_the_whole(stage):
    def counted(ranks):
        total = Counter()
        for rank in range(ranks):
            for batch in next(stage.batches(0, None, rank, ranks)).micro:
                total.update(stage.counts(batch))
        return total

    one = counted(1)
    assert one == counted(2)
    for loss in ("text", "image"):
        assert one[loss] == sum(one[f"source/{name}/{loss}"] for name in stage.sources) > 0


def test_a_token_has_the_number_of_its_document():
    token, off = torch.zeros(5, dtype=torch.int64), torch.zeros(5, dtype=torch.bool)
    packed = Encoded(token, token, torch.tensor([0, 1, 2, 0, 1]), off, off)
    row = Row(packed, ["x", "y"], ["a", "c"], None, {})
    assert by_source.of_tokens([row], ["a", "b", "c"], 6).tolist() == [[0, 0, 0, 2, 2, 2]]


def test_a_record_is_the_mean_over_all_values_of_a_source_and_over_the_steps_that_were_not_skipped(tmp_path):
    with MetricsLogger(tmp_path, RECIPE, 0, torch.device("cpu")) as log:
        log.step(0, {"loss": 4.0, "source/a/text": 1.0}, {"source/a/text": 30, "source/b/text": 0})
        log.step(1, {}, {"source/a/text": 5, "source/b/text": 5})  # skipped
        log.step(
            2, {"loss": 2.0, "source/a/text": 5.0, "source/b/text": 2.0}, {"source/a/text": 10, "source/b/text": 1}
        )
        log.write(2, {})
    record = json.loads((tmp_path / "log.jsonl").read_text())
    assert (record["loss"], record["source/a/text"], record["source/b/text"]) == (3.0, 2.0, 2.0)
    assert 0 < record["memory_gib"] < 1000


def test_labels_may_change_during_a_run():
    recipe = Recipe("mixed", "language", data=DATA)
    before = as_json(recipe)
    for table in before["data"]:
        del table["label"]  # as recipes before there were labels
    assert differences(before, recipe) == []
    before["data"][0]["weight"] = 2.0
    assert [line.split(":")[0] for line in differences(before, recipe)] == ["data"]
    with pytest.raises(SeedxError, match="label of data are texts"):
        Data("a", label=3)
