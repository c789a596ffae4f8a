"""The training loop: one for every stage, on one process or many.

A stage (`stage.py`) gives data and sums of losses; the loop owns the optimiser, the schedule, the average of the
weights, checkpoints and the log. What a step does follows from the recipe, the step's number and the weights alone:
data has a position that is part of a checkpoint, and random numbers start anew from (seed, step, rank). So a run that
is killed and resumed ends, on one machine and with as many threads, with the same bits as one that was not.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seedx.data.sample_errors import Faults
from seedx.errors import SeedxError
from seedx.images import side_by_side
from seedx.train.engine.activation_checkpoint import recomputed
from seedx.train.engine.checkpointing import Saver
from seedx.train.engine.gradients import accumulate, precision
from seedx.train.engine.metrics import Log
from seedx.train.engine.optimizer import Average, optimiser, set_rates
from seedx.train.engine.parallel import World, blocks, clip, gathered, optimised, shard, skeleton, whole
from seedx.train.engine.preemption import on_request
from seedx.train.engine.throughput import flops
from seedx.train.recipe import Recipe
from seedx.train.stages.base import Stage, Step, mixed


def train(stage: Stage, recipe: Recipe, run: Path, folder: Path, world: World | None = None) -> bool:
    """Train from the last checkpoint in `run`, or from the start; once done, write the result into `folder`.

    Returns:
        Whether it is done. If not, it was asked to stop (SIGTERM, Ctrl-C), saved, and the same call goes on.

    Raises:
        SeedxError: the data ended early or is too bad, too many steps were not finite, or a setting can't be.
        OSError: data can't be read, or the last checkpoint could not be written.
    """
    loop = Loop(stage, recipe, run, world or World())
    with on_request() as asked:
        done = loop.train(asked)
    if done:
        result = whole(stage.model, loop.frame, loop.average.values if loop.average else None)
        if result is not None:
            stage.save(result, folder)
    return done


class Loop:
    """One run. After `train` the stage's model has the last weights, and `average` their average."""

    def __init__(self, stage: Stage, recipe: Recipe, run: Path, world: World) -> None:
        recipe.micro_rows(world.size)
        recipe.shards(world.size)  # both raise before anything is built
        self.stage, self.recipe, self.run, self.world = stage, recipe, run, world
        self.frame = skeleton(stage.model)
        prepare_blocks(stage.model, recipe)
        shard(stage.model, world, recipe)
        self.optim = optimiser(stage.model, recipe)
        self.average = Average(stage.model, recipe.ema) if recipe.ema else None
        run.mkdir(parents=True, exist_ok=True)
        self.saver = Saver(run, world, recipe.keep)
        self.position: Any = None  # of this rank's data
        self.faults = Faults()  # of this rank's data
        self.bad, self.bad_in_a_row = 0, 0  # steps that were not finite
        self.losses: list[float] = []  # losses since the last checkpoint
        self.start, self.saved = 0, time.monotonic()

    def train(self, asked: Callable[[], bool]) -> bool:
        """Do all steps; False: stopped before, because `asked` said so on some rank."""
        self.start = self._resume()
        batches = self.stage.batches(self.start, self.position, self.world.rank, self.world.size)
        with self._log() as log:
            for step in range(self.start, self.recipe.steps):
                data = self._fetch(step, batches, asked, log)
                if data is None:
                    self.saver.wait()
                    return False
                self._learn(step, data, log)
                self._show(step)
            self._save(self.recipe.steps)
        self.saver.wait()
        return True

    def _log(self) -> AbstractContextManager[Log | None]:
        first = self.world.first
        return Log(self.run, self.recipe, self.start, self.world.device) if first else nullcontext()

    def _resume(self) -> int:
        """The step to begin with; everything is as it was before it."""
        state = self._state()
        start = self.saver.resume(state)
        if start is None:
            return 0
        self.position, self.bad = state["data"], state["bad_steps"]
        if self.world.first:
            self.faults = Faults.from_json(state["faults"])  # of all ranks until they are gathered again
        return start

    def _save(self, step: int) -> None:
        self.saver.save(step, self._state(), -statistics.fmean(self.losses) if self.losses else None)
        self.losses, self.saved = [], time.monotonic()

    def _state(self) -> dict[str, Any]:
        return {
            "model": self.stage.model,
            "optim": self.optim,
            "average": self.average and self.average.values,
            "data": self.stage.merge_states(self.world.gather(self.position)),
            "faults": self._all_faults().to_json(),
            "bad_steps": self.bad,
        }

    def _fetch(self, step: int, batches: Iterator[Step], asked: Callable[[], bool], log: Log | None) -> Step | None:
        """The data of a step; None if the run is to stop. All ranks agree, and save together where it is time to."""
        began = time.perf_counter()
        data, error = _next(batches)
        if log:
            log.waited(time.perf_counter() - began)
        due = self.world.first and time.monotonic() - self.saved > self.recipe.save_seconds
        have, stop, save = self._votes(data is not None, asked(), due)
        complete = have == self.world.size
        if (stop or save or not complete) and step > self.start:
            self._save(step)
        if stop:
            return None
        if not complete:
            self.saver.wait()
            raise self._no_data(step, data is None, error)
        return data

    def _no_data(self, step: int, ended: bool, error: Exception | None) -> Exception:
        """Why all ranks stop before a step, the same on each but for the first of an error."""
        failures = [failure for failure in self.world.gather(error and f"{type(error).__name__}: {error}") if failure]
        out = [rank for rank, empty in enumerate(self.world.gather(ended)) if empty]
        if failures:
            return error or ValueError(f"another rank can't read its data for step {step}: {failures[0]}")
        who = "" if len(out) == self.world.size else f" on rank {', '.join(map(str, out))} of {self.world.size}"
        return ValueError(
            f"the data of {self.recipe.name} is used up{who} after {step} of {self.recipe.steps} steps: "
            f"give it more epochs, or fewer steps (--set steps={step})"
        )

    def _votes(self, *votes: bool) -> list[int]:
        """How many ranks say so."""
        return [int(number) for number in self.world.sum(torch.tensor(votes, dtype=torch.int64))]

    def _learn(self, step: int, data: Step, log: Log | None) -> None:
        """One step of the optimiser, unless the loss or its gradient is not finite; and what is told about it."""
        if log and not log.flops and self.world.size == 1:
            log.flops = self._flops(data)
        rate = set_rates(self.optim, self.recipe, step)
        torch.manual_seed(mixed(self.recipe.seed, step, self.world.rank))
        values, counts = accumulate(self.stage, data.micro, self.recipe, self.world)
        values["grad_norm"] = float(clip(optimised(self.stage.model).values(), self.recipe.clip))
        finite = math.isfinite(values["loss"]) and math.isfinite(values["grad_norm"])
        if finite:
            self.optim.step()
            if self.average:
                self.average.update(self.stage.model, step)
            self.losses.append(values["loss"])
        self.optim.zero_grad(set_to_none=True)
        self.position = data.state
        self.faults.merge(data.faults)
        if log:
            log.step(step, values if finite else {}, counts)
        self._judge(step, finite, values, data.keys)
        if (step + 1) % self.recipe.log_every == 0 or step + 1 == self.recipe.steps:
            self._tell(step, rate, log)

    def _judge(self, step: int, finite: bool, values: dict[str, float], keys: list[str]) -> None:
        """Note a step that was left out with its samples, and stop after too many in a row."""
        if finite:
            self.bad_in_a_row = 0
            return
        self.bad += 1
        self.bad_in_a_row += 1
        file = self.run / "bad_steps.jsonl"
        keys = [key for rank in self.world.gather(keys) for key in rank]
        if self.world.first:
            with file.open("a", encoding="utf-8") as notes:
                notes.write(
                    json.dumps({"step": step, **{n: repr(v) for n, v in values.items()}, "samples": keys}) + "\n"
                )
        if self.bad_in_a_row >= self.recipe.max_bad_steps:
            raise SeedxError(
                f"{self.recipe.name}: {self.bad_in_a_row} steps in a row had a loss or gradient that is not finite, "
                f"the last is step {step}; none of them changed the weights. Their samples are in {file}: look at "
                "these, or lower lr. The last checkpoint stays"
            )

    def _tell(self, step: int, rate: float, log: Log | None) -> None:
        faults = self._all_faults()
        if log:
            log.write(step, {"lr": rate, "bad_steps": self.bad, "faults": faults.causes})
        faults.check(self.recipe.max_faults)

    def _all_faults(self) -> Faults:
        total = Faults()
        for faults in self.world.gather(self.faults):
            total.merge(faults)
        return total

    def _flops(self, data: Step) -> int:
        """Of a step, from doing its first micro-batch once more: what that leaves behind is taken away."""

        def once() -> None:
            accumulate(self.stage, data.micro[:1], self.recipe, World(device=self.world.device))

        total = flops(once) * len(data.micro)
        self.optim.zero_grad(set_to_none=True)
        return total

    def _show(self, step: int) -> None:
        """Sample pictures, where it is time for them and the stage has some."""
        if not self.recipe.sample_every or (step + 1) % self.recipe.sample_every:
            return
        with gathered(self.stage.model), precision(self.recipe, self.world.device):
            pictures = self.stage.sample(step)  # on every rank: a sharded model can't run on one alone
        if pictures and self.world.first:
            folder = self.run / "samples"
            folder.mkdir(exist_ok=True)
            side_by_side(pictures).save(folder / f"{step + 1:08d}.png")


def prepare_blocks(model: nn.Module, recipe: Recipe) -> None:
    """Activation checkpointing and torch.compile, block by block, in place and without new names."""
    for block in blocks(model) if recipe.compile else []:
        if any(parameter.requires_grad for parameter in block.parameters()):
            block.forward = torch.compile(block.forward)
    if recipe.checkpointing:  # around what is compiled: the compiler gives a checkpointed block up if any of it is not
        recomputed(model)


def _next(batches: Iterator[Step]) -> tuple[Step | None, Exception | None]:
    """The next step's data; or None at its end, or with what went wrong."""
    try:
        return next(batches, None), None
    except (ValueError, OSError, RuntimeError) as error:
        return None, error
