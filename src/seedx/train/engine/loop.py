"""The training loop: one for every stage, on one process or many.

A stage (`stages/base.py`) provides data and sums of losses; the trainer owns the optimizer, the schedule, the moving
average of the weights, checkpoints and the log. A step is a function of the recipe, its number and the weights: the
position in the data is part of a checkpoint, and random numbers are seeded with (seed, step, rank). So a resumed run
ends with the same bits as an uninterrupted one, on the same machine with the same number of threads.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from seedx.data.sample_errors import SampleErrors
from seedx.errors import SeedxError
from seedx.images import side_by_side
from seedx.train import sample_prompts
from seedx.train.engine.activation_checkpoint import prepare_blocks
from seedx.train.engine.checkpointing import CheckpointManager
from seedx.train.engine.gradients import accumulate, autocast
from seedx.train.engine.metrics import MetricsLogger
from seedx.train.engine.optimizer import ModelEMA, build_optimizer, set_learning_rate
from seedx.train.engine.parallel import (
    World,
    clip_grad_norm,
    full_parameters,
    gather_model,
    local_shard,
    meta_copy,
    optimizer_parameters,
    shard,
)
from seedx.train.engine.preemption import handle_signals
from seedx.train.engine.skipped_steps import SkippedSteps
from seedx.train.engine.throughput import count_flops
from seedx.train.engine.trainable import check_finite
from seedx.train.engine.validation import Validation, evaluate
from seedx.train.recipe import Recipe
from seedx.train.stages.base import Stage, Step, step_seed


def train(stage: Stage, recipe: Recipe, run: Path, folder: Path, world: World | None = None) -> bool:
    """Train from the last checkpoint in `run`, or from the start; in the end, write the trained parts into `folder`.

    Returns:
        Whether training is complete. If not, it was stopped (SIGTERM, Ctrl-C) after a checkpoint; call again to resume.

    Raises:
        SeedxError: too little data, too many sample errors or skipped steps, or an invalid setting.
        OSError: data can't be read, or the last checkpoint could not be written.
    """
    trainer = Trainer(stage, recipe, run, world or World())
    with handle_signals() as stop_requested:
        done = trainer.train(stop_requested)
    if done:
        result = gather_model(stage.model, trainer.frame, trainer.average.values if trainer.average else None)
        if result is not None:
            check_finite(result, recipe.name)
            stage.save(result, folder)
    return done


class Trainer:
    """One run. After `train` the stage's model has the last weights, and `average` their moving average."""

    def __init__(self, stage: Stage, recipe: Recipe, run: Path, world: World) -> None:
        recipe.micro_rows(world.size)
        recipe.shards(world.size)  # both raise early
        self.stage, self.recipe, self.run, self.world = stage, recipe, run, world
        self.frame = meta_copy(stage.model)
        prepare_blocks(stage.model, recipe)
        shard(stage.model, world, recipe)
        self.optim = build_optimizer(stage.model, recipe)
        self.average = ModelEMA(stage.model, recipe.ema_decay) if recipe.ema_decay else None
        run.mkdir(parents=True, exist_ok=True)
        self.checkpoints = CheckpointManager(run, world, recipe.keep_last)
        self.position: Any = None  # of this rank's data
        self.sample_errors = SampleErrors()  # of this rank's data
        self.skipped = SkippedSteps(run, recipe, world)
        self.losses: list[float] = []  # since the last checkpoint
        self.start, self.saved = 0, time.monotonic()
        self.validation = Validation()
        self.flops: int | None = None  # of a step on this rank, once it is counted

    def train(self, stop_requested: Callable[[], bool]) -> bool:
        """Run all steps; False: stopped early, because `stop_requested` was true on some rank."""
        self.start = self._resume()
        if self.validation.stops(self.recipe.validation.patience):
            return True  # it stopped early before
        batches = self.stage.batches(self.start, self.position, self.world.rank, self.world.size)
        with self._log() as log:
            for step in range(self.start, self.recipe.steps):
                data = self._fetch(step, batches, stop_requested, log)
                if data is None:
                    self.checkpoints.wait()
                    return False
                self._step(step, data, log)
                self._sample(step, log)
                if self._validate(step, log):
                    self._save(step + 1)
                    break
            else:
                self._save(self.recipe.steps)
        self.checkpoints.wait()
        return True

    def _log(self) -> AbstractContextManager[MetricsLogger | None]:
        first = self.world.first
        return MetricsLogger(self.run, self.recipe, self.start, self.world.device) if first else nullcontext()

    def _resume(self) -> int:
        """Load the last checkpoint, if there is one; returns the step to start with."""
        state = self._state()
        start = self.checkpoints.resume(state)
        if start is None:
            return 0
        self.position, self.skipped.total = state["data"], state["skipped_steps"]
        self.validation = Validation(**state.get("validation") or {})
        if self.world.first:  # it has those of all ranks, which are summed when they are gathered
            self.sample_errors = SampleErrors.from_json(state["sample_errors"])
        return start

    def _save(self, step: int, score: float | None = None) -> None:
        """
        Args:
            score: the greater the better; None: minus the mean loss since the last checkpoint, or none at all where
                there is validation, which then decides.

        Raises:
            SeedxError: on all ranks, where weights are not finite on one: the checkpoints before stay.
        """
        parameters = optimizer_parameters(self.stage.model).values()
        ruined = any(not torch.isfinite(local_shard(parameter)).all() for parameter in parameters)
        if self._votes(ruined)[0]:
            self.checkpoints.wait()
            raise SeedxError(
                f"{self.recipe.name}: after step {step} weights are not finite, so no checkpoint of them is written; "
                "lower lr, and run the same command to resume from the last checkpoint"
            )
        if score is None and self.losses and not self.recipe.validation.every:
            score = -statistics.fmean(self.losses)
        self.checkpoints.save(step, self._state(), score)
        self.losses, self.saved = [], time.monotonic()

    def _state(self) -> dict[str, Any]:
        return {
            "model": self.stage.model,
            "optim": self.optim,
            "average": self.average and self.average.values,
            "data": self.stage.merge_states(self.world.gather(self.position)),
            "sample_errors": self._all_sample_errors().to_json(),
            "skipped_steps": self.skipped.total,
            "validation": self.validation.state(),
        }

    def _fetch(
        self, step: int, batches: Iterator[Step], stop_requested: Callable[[], bool], log: MetricsLogger | None
    ) -> Step | None:
        """The data of a step; None if the run is to stop. All ranks decide together, and save if it is time."""
        start = time.perf_counter()
        data, error = _next(batches)
        if log:
            log.add_wait(time.perf_counter() - start)
        due = self.world.first and time.monotonic() - self.saved > self.recipe.save_seconds
        have, stop, save = self._votes(data is not None, stop_requested(), due)
        complete = have == self.world.size
        if (stop or save or not complete) and step > self.start:
            self._save(step)
        if stop:
            return None
        if not complete:
            self.checkpoints.wait()
            raise self._no_data(step, data is None, error)
        return data

    def _no_data(self, step: int, ended: bool, error: Exception | None) -> Exception:
        """Why all ranks stop before a step: the same on each, except that one with an error has its own."""
        failures = [failure for failure in self.world.gather(error and f"{type(error).__name__}: {error}") if failure]
        out = [rank for rank, empty in enumerate(self.world.gather(ended)) if empty]
        if failures:
            return error or SeedxError(f"another rank can't read its data for step {step}: {failures[0]}")
        who = "" if len(out) == self.world.size else f" on rank {', '.join(map(str, out))} of {self.world.size}"
        return SeedxError(
            f"the data of {self.recipe.name} is used up{who} after {step} of {self.recipe.steps} steps: "
            f"give it more epochs, or fewer steps (--set steps={step})"
        )

    def _votes(self, *votes: bool) -> list[int]:
        """For each vote, on how many ranks it is true."""
        return [int(number) for number in self.world.sum(torch.tensor(votes, dtype=torch.int64))]

    def _step(self, step: int, data: Step, log: MetricsLogger | None) -> None:
        """One step of the optimizer, skipped if the loss or its gradient is not finite."""
        if self.flops is None:  # on every rank: a sharded model can't run on one
            self.flops = self._flops(data)
            if log:
                log.flops = self.flops
        lr = set_learning_rate(self.optim, self.recipe, step)
        torch.manual_seed(step_seed(self.recipe.seed, step, self.world.rank))
        values, counts = accumulate(self.stage, data.micro, self.recipe, self.world)
        values["grad_norm"] = float(
            clip_grad_norm(optimizer_parameters(self.stage.model).values(), self.recipe.max_grad_norm)
        )
        finite = math.isfinite(values["loss"]) and math.isfinite(values["grad_norm"])
        if finite:
            self.optim.step()
            if self.average:
                self.average.update(self.stage.model, step)
            self.losses.append(values["loss"])
        self.optim.zero_grad(set_to_none=True)
        self.position = data.state
        self.sample_errors.merge(data.sample_errors)
        if log:
            log.step(step, values if finite else {}, counts)
        self.skipped.note(step, finite, values, data.keys)
        if (step + 1) % self.recipe.log_every == 0 or step + 1 == self.recipe.steps:
            self._write_metrics(step, lr, log)

    def _write_metrics(self, step: int, lr: float, log: MetricsLogger | None) -> None:
        errors = self._all_sample_errors()
        if log:
            log.write(step, {"lr": lr, "skipped_steps": self.skipped.total, "sample_errors": errors.counts})
        errors.check(self.recipe.max_sample_errors)

    def _all_sample_errors(self) -> SampleErrors:
        """Of all ranks."""
        total = SampleErrors()
        for errors in self.world.gather(self.sample_errors):
            total.merge(errors)
        return total

    def _flops(self, data: Step) -> int:
        """Of this rank's step, counted in an extra run of its first micro-batch, whose gradients are dropped."""

        def once() -> None:
            accumulate(self.stage, data.micro[:1], self.recipe, World(device=self.world.device))

        total = count_flops(once) * len(data.micro)
        self.optim.zero_grad(set_to_none=True)
        return total

    def _validate(self, step: int, log: MetricsLogger | None) -> bool:
        """Evaluate, if it is time, and keep the best checkpoint; whether the run is to stop early."""
        settings = self.recipe.validation
        if not settings.every or (step + 1) % settings.every:
            return False
        values = evaluate(self.stage, self.stage.validation_batches(), self.recipe, self.world)
        best = self.validation.add(values["loss"])
        if log:
            log.write_validation(step, values)
        stops = self.validation.stops(settings.patience)
        if best and settings.keep_best:
            self._save(step + 1, -values["loss"])
        return stops

    def _sample(self, step: int, log: MetricsLogger | None) -> None:
        """Write sample pictures and answers, if it is time and the stage has some."""
        if not self.recipe.sample_every or (step + 1) % self.recipe.sample_every:
            return
        prompts = self.recipe.prompts
        # Compiled code would be compiled again for the shapes of generation.
        eager = torch.compiler.set_stance("force_eager") if self.recipe.compile else nullcontext()
        with full_parameters(self.stage.model), autocast(self.recipe, self.world.device), eager:
            pictures = self.stage.sample(step)  # on every rank: a sharded model can't run on one
            replies = self.stage.replies(prompts) if prompts else []  # type: ignore[attr-defined]  # see `run.build`
        if not log or not (pictures or replies):
            return
        stem = self.run / "samples" / f"{step + 1:08d}"
        stem.parent.mkdir(exist_ok=True)
        if pictures:
            sheet = side_by_side(pictures)
            sheet.save(stem.with_suffix(".png"))
            log.tracker.picture("samples", sheet, step)
        if replies:
            log.tracker.answers("answers", sample_prompts.write(prompts, replies, stem), step)


def _next(batches: Iterator[Step]) -> tuple[Step | None, Exception | None]:
    """The next step's data; None at the end of the data, or with an error."""
    try:
        return next(batches, None), None
    except (ValueError, OSError, RuntimeError) as error:
        return None, error
