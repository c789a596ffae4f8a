"""Checkpoints: exact, atomic, verified, pruned; in the background, and on a full disk."""

import logging
import multiprocessing
import os
import resource
import signal
import time

import pytest
import torch
from torch import nn

from processes import PRELOAD
from seedx.train.engine import checkpoint_files
from seedx.train.engine.checkpointing import CheckpointManager
from seedx.train.engine.parallel import World, clip_grad_norm, optimizer_parameters


class Run:
    """A run of one process whose data come from the step."""

    def __init__(self, folder, keep_last=2, average=True):
        torch.set_num_threads(1)  # in every process: bits depend on it
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 6))
        self.model[0].bias.requires_grad_(False)
        self.parameters = optimizer_parameters(self.model)
        self.optim = torch.optim.AdamW(self.parameters.values(), lr=1e-2, fused=True)
        averages = {name: p.detach().clone() for name, p in self.parameters.items()} if average else None
        self.state = {"model": self.model, "optim": self.optim, "average": averages}
        self.saver = CheckpointManager(folder, World(), keep_last)

    def step(self, step):
        torch.manual_seed(step)
        self.model(torch.randn(4, 6)).square().mean().backward()
        clip_grad_norm(self.parameters.values(), 0.1)
        self.optim.step()
        self.optim.zero_grad()
        for name, value in (self.state["average"] or {}).items():
            value.lerp_(self.parameters[name].detach(), 0.1)

    def save(self, step, score=None):
        self.saver.save(step, self.state, score)
        self.saver.wait()

    def weights(self):
        averages = {f"average.{name}": value for name, value in (self.state["average"] or {}).items()}
        return {k: v.clone() for k, v in (self.model.state_dict() | averages).items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def saved(tmp_path):
    return checkpoint_files.steps(tmp_path / "checkpoints")


def test_a_resumed_run_equals_an_uninterrupted_one_bit_by_bit(tmp_path):
    whole, cut, resumed = (Run(tmp_path / name) for name in ("whole", "cut", "cut"))
    for step in range(6):
        whole.step(step)
    for step in range(3):
        cut.step(step)
    cut.save(3)
    assert not same(resumed.weights(), cut.weights())
    assert resumed.saver.resume(resumed.state) == 3
    assert same(resumed.weights(), cut.weights())
    for step in range(3, 6):
        resumed.step(step)
    assert same(resumed.weights(), whole.weights())


def test_the_rest_of_the_state_is_restored(tmp_path):
    run, again = Run(tmp_path), Run(tmp_path)
    others = {"data": {3: ("shard", [1, None]), 7: {"a": 0.1}}, "random": torch.get_rng_state(), "seen": 12}
    run.state |= others
    run.save(1)
    again.saver.resume(again.state)
    assert torch.equal(again.state["random"], others["random"])
    assert again.state["data"] == others["data"] and again.state["seen"] == 12


def test_the_state_is_copied_before_save_returns(tmp_path):
    run, again = Run(tmp_path), Run(tmp_path)
    for step in range(2):
        run.step(step)
    before = run.weights()
    run.state["data"] = [1]
    run.saver.save(2, run.state)
    run.state["data"].append(2)
    run.step(2)
    run.saver.wait()
    assert again.saver.resume(again.state) == 2
    assert same(again.weights(), before) and again.state["data"] == [1]


def test_a_run_without_a_checkpoint_starts(tmp_path):
    run = Run(tmp_path)
    assert run.saver.resume(run.state) is None


def test_the_last_ones_and_the_best_are_kept(tmp_path):
    run = Run(tmp_path, keep_last=2)
    for step, score in enumerate([0.1, 0.9, None, 0.3, 0.2], start=1):
        run.save(step, score)
    assert saved(tmp_path) == [2, 4, 5]
    run.save(6, score=0.9)  # of equal ones the newer is the best
    assert saved(tmp_path) == [5, 6]


def test_a_step_that_is_saved_is_not_written_again(tmp_path):
    run = Run(tmp_path)
    run.save(4)
    written = (checkpoint_files.path(tmp_path / "checkpoints", 4) / checkpoint_files.MANIFEST).stat().st_mtime_ns
    run.save(4)
    assert (
        checkpoint_files.path(tmp_path / "checkpoints", 4) / checkpoint_files.MANIFEST
    ).stat().st_mtime_ns == written


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "a bit": lambda folder: flip(folder / "__0_0.distcp"),
    "the end": lambda folder: os.truncate(folder / "__0_0.distcp", 100),
    "the rest": lambda folder: flip(folder / checkpoint_files.REST),
    "a file": lambda folder: (folder / ".metadata").unlink(),
    "the manifest": lambda folder: (folder / checkpoint_files.MANIFEST).write_text('{"files": '),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_one_before_a_broken_checkpoint_is_loaded(tmp_path, damage, caplog):
    run, again = Run(tmp_path), Run(tmp_path)
    run.save(1)
    run.step(1)
    run.save(2)
    DAMAGES[damage](checkpoint_files.path(tmp_path / "checkpoints", 2))
    assert again.saver.resume(again.state) == 1
    assert "step-00000002 is broken" in caplog.text
    again.save(2)  # the step comes again, and is written
    assert Run(tmp_path).saver.resume(again.state) == 2


def test_when_all_are_broken_nothing_starts_over_by_itself(tmp_path):
    run = Run(tmp_path)
    run.save(1)
    DAMAGES["a bit"](checkpoint_files.path(tmp_path / "checkpoints", 1))
    for _ in range(3):  # every start refuses, not just the one that finds it
        with pytest.raises(ValueError, match=r"every checkpoint in .* is broken; to start over, remove that folder"):
            run.saver.resume(run.state)


def test_another_models_checkpoint_is_refused(tmp_path):
    run, other = Run(tmp_path), Run(tmp_path)
    run.save(1)
    other.model[0].bias.requires_grad_(True)
    with pytest.raises(ValueError, match=r"other parameters than this recipe trains \(1 differ, the first is '0.bias'"):
        other.saver.resume(other.state)


def test_an_average_may_begin_later(tmp_path):
    run, again = Run(tmp_path, average=False), Run(tmp_path)
    run.step(0)
    run.save(1)
    again.saver.resume(again.state)
    assert same(again.state["average"], {name: p.detach() for name, p in run.parameters.items()})


def test_a_full_disk_is_a_warning_and_training_continues(tmp_path, caplog):
    run = Run(tmp_path)
    run.save(1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))  # no file can grow beyond
    try:
        run.saver.save(2, run.state)
        with pytest.raises(OSError, match=r"step 2 could not be saved .*MB are free.*the checkpoint of step 1 is kept"):
            run.saver.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    ours = [record for record in caplog.records if record.name == "seedx.train.engine.checkpointing"]
    assert [record.levelno for record in ours] == [logging.WARNING] and "training continues" in ours[0].message
    assert [entry.name for entry in (tmp_path / "checkpoints").iterdir()] == [
        "step-00000001"
    ]  # nothing is left of the failed one
    run.save(3)
    assert saved(tmp_path) == [1, 3]


def save_until_killed(folder):
    run = Run(folder)
    start = run.saver.resume(run.state) or 0
    for step in range(start, 10_000):
        run.step(step)
        run.save(step + 1)


@pytest.mark.slow
def test_killed_at_any_moment_a_run_has_a_whole_checkpoint(tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    reached = 0
    for kill in range(3):
        process = context.Process(target=save_until_killed, args=(tmp_path,))
        process.start()
        deadline = time.monotonic() + 100
        while (saved(tmp_path) or [0])[-1] <= reached and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(0.007 * kill)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        run = Run(tmp_path)
        step = run.saver.resume(run.state)
        assert step > reached
        reached = step
        assert not list((tmp_path / "checkpoints").glob(f"*{checkpoint_files.PART}"))
    uninterrupted = Run(tmp_path / "other")
    for step in range(reached):
        uninterrupted.step(step)
    assert same(run.weights(), uninterrupted.weights())


def test_at_least_one_is_kept(tmp_path):
    with pytest.raises(ValueError, match="keep_last must be 1 or more, not 0"):
        CheckpointManager(tmp_path, World(), keep_last=0)
