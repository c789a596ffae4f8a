"""The loop: resumption, stopping, steps that are not finite, bad data, logs."""

import dataclasses
import json
import os
import re
import signal

import pytest
import torch
from torch import nn
from toy import RECIPE, Toy, lines_of_one_rank, together

from processes import free_port
from seedx.data.sample_errors import SampleError, SampleErrors
from seedx.data.shard_reader import Data
from seedx.errors import SeedxError
from seedx.train.engine.loop import train
from seedx.train.engine.metrics import read_log, truncate_log
from seedx.train.engine.optimizer import ModelEMA, build_optimizer, lr_factor, set_learning_rate
from seedx.train.engine.trainable import check_finite


def result(folder):
    return torch.load(folder / "toy.pt", weights_only=True)


def failing(batch):
    raise MemoryError("as a process that dies")


def terminated(batch):
    os.kill(os.getpid(), signal.SIGTERM)
    return batch


def infinite(batch):
    return batch * float("inf")


def test_a_resumed_run_ends_with_the_same_bits(tmp_path):
    train(Toy(), RECIPE, tmp_path / "whole", tmp_path / "a")
    with pytest.raises(MemoryError):
        train(Toy(events={5: failing}), RECIPE, tmp_path / "cut", tmp_path / "b")
    assert not (tmp_path / "b").exists()
    stage = Toy(events={0: failing})  # the first steps are not done again
    assert train(stage, RECIPE, tmp_path / "cut", tmp_path / "b")
    first, second = result(tmp_path / "a"), result(tmp_path / "b")
    assert all(torch.equal(first[name], second[name]) for name in first)
    logged = [[record["loss"] for record in read_log(tmp_path / run / "log.jsonl")] for run in ("whole", "cut")]
    assert logged[0] == logged[1] and len(logged[0]) == RECIPE.steps


def test_sigterm_saves_and_stops_and_the_same_call_resumes(tmp_path):
    recipe = dataclasses.replace(RECIPE, save_seconds=1000)
    before = signal.getsignal(signal.SIGTERM)
    assert not train(Toy(events={3: terminated}), recipe, tmp_path / "run", tmp_path / "out")
    assert signal.getsignal(signal.SIGTERM) is before
    assert [file.name for file in (tmp_path / "run/checkpoints").iterdir()] == ["step-00000003"]
    assert not (tmp_path / "out").exists()
    assert train(Toy(), recipe, tmp_path / "run", tmp_path / "out")
    train(Toy(), recipe, tmp_path / "whole", tmp_path / "other")
    assert torch.equal(result(tmp_path / "out")["weight"], result(tmp_path / "other")["weight"])


@pytest.mark.slow
def test_two_ranks_train_as_one_does_and_stop_and_resume_together(tmp_path):
    recipe = dataclasses.replace(RECIPE, micro_batch_size=1, save_seconds=1000)
    stopped = together(2, free_port(), recipe, tmp_path, {1: {3: terminated}})  # one rank alone is asked
    assert stopped == [3, 3] and not (tmp_path / "out").exists()
    assert together(2, free_port(), recipe, tmp_path, {}) == [0, 0]
    train(Toy(recipe, noise=0.0), recipe, tmp_path / "alone", tmp_path / "other")
    torch.testing.assert_close(result(tmp_path / "out"), result(tmp_path / "other"), rtol=1e-5, atol=1e-6)
    assert all("utilization" in record for record in read_log(tmp_path / "run/log.jsonl"))  # only with FLOPs counted


@pytest.mark.slow
def test_ranks_whose_data_ends_unevenly_stop_at_the_same_step(tmp_path):
    """Nine lines of one epoch for two streams: one gets a line more than the other."""
    lines = tmp_path / "lines.jsonl"
    lines.write_text("".join(json.dumps({"text": str(number)}) + "\n" for number in range(9)))
    data = (Data(str(lines), "text", epochs=1),)
    recipe = dataclasses.replace(RECIPE, global_batch_size=2, streams=2, data=data, save_seconds=1000)
    assert together(2, free_port(), recipe, tmp_path, target=lines_of_one_rank) == [0, 0]
    said = {(tmp_path / f"rank-{rank}.txt").read_text() for rank in range(2)}
    steps = [int(path.name.removeprefix("step-")) for path in (tmp_path / "run/checkpoints").iterdir()]
    assert len(said) == len(steps) == 1 and 0 < steps[0] <= 4
    assert re.search(rf"used up on rank [01] of 2 after {steps[0]} of 8 steps: .*--set steps={steps[0]}", *said)


def test_the_moving_average_is_written(tmp_path):
    stage = Toy()
    train(stage, RECIPE, tmp_path / "run", tmp_path / "out")
    assert not torch.equal(result(tmp_path / "out")["weight"], stage.model.weight)


def test_a_step_that_is_not_finite_is_skipped(tmp_path):
    recipe = dataclasses.replace(RECIPE, steps=3, max_skipped_steps=3, ema_decay=0.0)
    stage = Toy(events={0: infinite, 1: infinite})
    start = stage.model.weight.detach().clone()
    train(stage, recipe, tmp_path / "run", tmp_path / "out")
    notes = [json.loads(line) for line in (tmp_path / "run/skipped_steps.jsonl").read_text().splitlines()]
    assert [note["step"] for note in notes] == [0, 1] and notes[1]["samples"] == ["toy, step 1"]
    assert torch.isfinite(stage.model.weight).all() and not torch.equal(stage.model.weight, start)
    assert read_log(tmp_path / "run/log.jsonl")[-1]["skipped_steps"] == 2


def test_ruined_weights_are_not_written(tmp_path):
    """A step of a finite loss that makes a weight infinite: neither a checkpoint nor a model is written over others."""
    recipe = dataclasses.replace(RECIPE, steps=3, lr=1e39, warmup_steps=0, max_grad_norm=1e30, ema_decay=0.0)
    with pytest.raises(SeedxError, match="after step 1 weights are not finite"):
        train(Toy(recipe), recipe, tmp_path / "run", tmp_path / "out")
    assert not list((tmp_path / "run/checkpoints").iterdir()) and not (tmp_path / "out").exists()
    model = nn.Linear(2, 2)
    check_finite(model, "toy")
    model.bias.data[1] = float("nan")
    with pytest.raises(SeedxError, match="toy: bias has values that are not finite"):
        check_finite(model, "toy")


def test_too_many_in_a_row_stop_the_run_with_its_samples_at_hand(tmp_path):
    with pytest.raises(ValueError, match=r"2 steps in a row were skipped.* step 4\..*skipped_steps\.jsonl"):
        train(Toy(events={3: infinite, 4: infinite}), RECIPE, tmp_path / "run", tmp_path / "out")
    assert (tmp_path / "run/checkpoints/step-00000003").exists()


class Faulty(Toy):
    """Half of its samples are bad; after step 2 there are no more."""

    def __init__(self, bad):
        super().__init__()
        self.bad = bad

    def batches(self, step, state, rank, ranks):
        for number, data in zip(range(step, 3), super().batches(step, state, rank, ranks), strict=False):
            data.sample_errors = SampleErrors(used=100)
            for _ in range(self.bad):
                data.sample_errors.add(SampleError("broken image", f"shard/{number}"))
            yield data


def test_bad_data_is_counted_and_too_much_of_it_stops_the_run(tmp_path):
    with pytest.raises(ValueError, match=r"used up after 3 of 8 steps.*--set steps=3"):
        train(Faulty(bad=4), RECIPE, tmp_path / "run", tmp_path / "out")
    assert [r["sample_errors"] for r in read_log(tmp_path / "run/log.jsonl")] == [
        {"broken image": n} for n in (4, 8, 12)
    ]
    with pytest.raises(ValueError, match=r"used up after 3"):  # resumed: they are not counted twice
        train(Faulty(bad=4), RECIPE, tmp_path / "run", tmp_path / "out")
    with pytest.raises(ValueError, match=r"broken image: 100.*shard/0"):
        train(Faulty(bad=100), RECIPE, tmp_path / "other", tmp_path / "out")


def test_other_parameters_in_the_checkpoint_are_refused(tmp_path):
    train(Toy(), RECIPE, tmp_path / "run", tmp_path / "out")
    other = Toy()
    other.model = nn.Sequential(nn.Linear(3, 2))
    with pytest.raises(ValueError, match="other parameters"):
        train(other, RECIPE, tmp_path / "run", tmp_path / "out")


def test_the_learning_rate_warms_up_and_ends_at_its_floor():
    factors = [lr_factor(RECIPE, step) for step in range(RECIPE.steps)]
    assert factors[:2] == [0.5, 1.0]
    assert factors[-1] == pytest.approx(RECIPE.min_lr_ratio)
    assert factors[1:] == sorted(factors[1:], reverse=True)


def test_vectors_are_not_decayed_and_rates_follow_names():
    recipe = dataclasses.replace(RECIPE, weight_decay=0.3, lr_factors={"0.*": 0.1})
    optim = build_optimizer(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), recipe)
    assert set_learning_rate(optim, recipe, step=1) == 0.1
    settings = {(round(group["lr"], 6), group["weight_decay"]) for group in optim.param_groups}
    assert settings == {(0.01, 0.3), (0.01, 0.0), (0.1, 0.3), (0.1, 0.0)}
    with pytest.raises(ValueError, match="'head' of lr_factors matches no trained parameter"):
        build_optimizer(nn.Linear(2, 2), dataclasses.replace(RECIPE, lr_factors={"head": 0.1}))


def test_an_average_moves_slowly():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = ModelEMA(model, decay=0.5)
    nn.init.ones_(model.weight)
    average.update(model, step=1000)
    assert average.values["weight"].item() == 0.5 and model.weight.item() == 1


def test_an_interrupted_log_is_truncated(tmp_path):
    file = tmp_path / "log.jsonl"
    file.write_text('{"step": 0}\n{"step": 1}\n{"step": 2}\n{"ste')
    assert [record["step"] for record in read_log(file)] == [0, 1, 2]
    truncate_log(file, 2)
    assert file.read_text() == '{"step": 0}\n{"step": 1}\n'
