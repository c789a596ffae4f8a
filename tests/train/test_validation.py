"""Validation, the best checkpoint, early stop and trackers, on a stage whose losses are known."""

import dataclasses
import json
import sys
import types

import PIL.Image
import pytest
import torch
from test_stages import LANGUAGE, recipe_of
from toy import RECIPE, Toy

from seedx.checkpoint import native
from seedx.cli import main
from seedx.data.shard_reader import Data
from seedx.errors import SeedxError
from seedx.train.engine import checkpoint_files
from seedx.train.engine.gradients import accumulate
from seedx.train.engine.loop import train
from seedx.train.engine.metrics import read_log
from seedx.train.engine.parallel import World
from seedx.train.engine.trackers import open_tracker
from seedx.train.engine.validation import Validation, evaluate
from seedx.train.recipe import Validating, load_recipe
from seedx.train.run import build, run

HELD_OUT = Validating(every=2, data=(Data("held-out.jsonl"),))


class Validated(Toy):
    """Its validation loss is the next of a list."""

    def __init__(self, recipe, losses):
        super().__init__(recipe)
        self.known = iter(losses)

    def validation_batches(self):
        self.wanted = next(self.known)
        return [torch.zeros(1, 3)]

    def losses(self, batch):
        if self.model.training:
            return super().losses(batch)
        return {"error": torch.tensor(2.0 * self.wanted)}  # a count of 2


def recipe_with(**changes):
    return dataclasses.replace(RECIPE, validation=dataclasses.replace(HELD_OUT, **changes), save_seconds=1e9)


def test_the_best_checkpoint_is_kept_and_all_losses_are_logged(tmp_path):
    recipe = dataclasses.replace(recipe_with(), keep_last=1)
    assert train(Validated(recipe, [3.0, 1.0, 2.0, 5.0]), recipe, tmp_path / "run", tmp_path / "out")
    assert checkpoint_files.steps(tmp_path / "run" / "checkpoints") == [4, 8]
    assert checkpoint_files.best(tmp_path / "run" / "checkpoints") == 4
    found = [(r["step"], r["validation/loss"]) for r in read_log(tmp_path / "run/log.jsonl") if "validation/loss" in r]
    assert found == [(1, 3.0), (3, 1.0), (5, 2.0), (7, 5.0)]


def test_validation_changes_nothing_that_is_learnt(tmp_path):
    results = []
    for name, recipe in (("with", recipe_with()), ("without", dataclasses.replace(RECIPE, save_seconds=1e9))):
        stage = Validated(recipe, [1.0] * 4)
        train(stage, recipe, tmp_path / name, tmp_path / f"{name}-out")
        results.append(torch.load(tmp_path / f"{name}-out" / "toy.pt"))
    assert all(torch.equal(results[0][key], results[1][key]) for key in results[0])


def test_a_run_stops_early_and_stays_stopped(tmp_path):
    recipe = recipe_with(patience=2)
    stage = Validated(recipe, [3.0, 4.0, float("nan"), 0.0])
    assert train(stage, recipe, tmp_path / "run", tmp_path / "out")
    assert checkpoint_files.steps(tmp_path / "run" / "checkpoints")[-1] == 6
    again = Validated(recipe, [])
    assert train(again, recipe, tmp_path / "run", tmp_path / "out")
    assert torch.equal(again.model.weight, stage.model.weight)


def test_what_counts_as_better():
    found = Validation()
    assert [found.add(loss) for loss in (2.0, 2.0, 1.0, float("nan"))] == [True, False, True, False]
    assert (found.best, found.since, found.stops(1), found.stops(2), found.stops(0)) == (1.0, 1, True, False, False)


LANGUAGE_VALIDATED = (
    LANGUAGE
    + """
[validation]
every = 1
samples = 3

[[validation.data]]
source = "stickers:draw"

[[validation.data]]
source = "stickers:question"
"""
)


@pytest.fixture
def validated(tiny_folder, tmp_path):
    few = {"steps": 2, "warmup_steps": 1, "global_batch_size": 2, "streams": 2, "init_from": str(tiny_folder)}
    return recipe_of(tmp_path, LANGUAGE_VALIDATED), few


def test_losses_are_those_of_a_training_step_on_the_same_rows_without_dropout(validated, tmp_path):
    path, few = validated
    recipe = load_recipe(path, **few)
    stage = build(recipe, tmp_path / "model")
    first, again = stage.validation_batches(), stage.validation_batches()
    assert all(torch.equal(a.input_ids, b.input_ids) for a, b in zip(first, again, strict=True))
    expected, _ = accumulate(stage, first, recipe, World())  # a model without dropout
    found = evaluate(stage, first, recipe, World())
    assert found == pytest.approx({name: expected[name] for name in found}, rel=1e-5)
    by_source = {f"source/stickers:{name}" for name in ("draw/text", "draw/image", "question/text")}
    assert set(found) == {"loss", "text", "image", *by_source} and stage.model.training


@pytest.mark.slow
def test_the_best_step_is_exported(validated, tmp_path, capsys):
    path, few = validated
    assert run(path, tmp_path / "model", **few)
    folder = tmp_path / "model" / "runs" / "mine"
    losses = {r["step"] + 1: r["validation/loss"] for r in read_log(folder / "log.jsonl") if "validation/loss" in r}
    best = min(losses, key=losses.get)
    assert main(["export", f"{folder}@best", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.strip().endswith(f"step {best}")
    assert native.load(tmp_path / "out")


def test_mistakes():
    with pytest.raises(SeedxError, match="validation needs data"):
        Validating(every=3)
    with pytest.raises(SeedxError, match="makes its own data"):
        Toy().validation_batches()


def test_weights_and_biases_gets_the_recipe_the_curves_and_the_same_run_again(tmp_path, monkeypatch):
    """By a stand-in for its package, which records what it is given."""
    calls = []
    made = types.SimpleNamespace(
        log=lambda values, step: calls.append((values, step)), finish=lambda: calls.append("end")
    )
    fake = types.SimpleNamespace(
        init=lambda **given: calls.append(given) or made, Image=lambda picture: "picture", Table=lambda **given: given
    )
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for _ in range(2):
        tracker = open_tracker(tmp_path, dataclasses.replace(RECIPE, tracker="wandb"), 0)
        tracker.numbers({"loss": 1.0}, 3)
        tracker.picture("samples", PIL.Image.new("RGB", (2, 2)), 3)
        tracker.answers("answers", [("Who?", "a cat")], 3)
        tracker.close()
    assert calls[0] == calls[5] and calls[0]["resume"] == "allow" and calls[0]["config"]["lr"] == RECIPE.lr
    assert json.dumps(calls[0]["config"]) and calls[1:5] == [
        ({"loss": 1.0}, 3),
        ({"samples": "picture"}, 3),
        ({"answers": {"columns": ["prompt", "answer"], "data": [["Who?", "a cat"]]}}, 3),
        "end",
    ]


def test_a_tracker_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(SeedxError, match=r'pip install "seedx\[wandb\]"'):
        open_tracker(tmp_path, dataclasses.replace(RECIPE, tracker="wandb"), 0)
