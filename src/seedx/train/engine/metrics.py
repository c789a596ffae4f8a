"""What a run tells: a bar, `log.jsonl` (always), and TensorBoard's files (if it is installed).

A record is a mean over the steps since the last one:

    {"step": 40, "loss": 2.1, "text": 1.9, "lr": 0.001, "grad_norm": 0.8, "samples_s": 310.0, "tokens_s": 9100.0,
     "wait": 0.01, "mfu": 0.42, "bad_steps": 0, "faults": {"broken image": 2}, "time": 1764000000.0}

`wait` is the share of the time that the loop waited for data, `mfu` the share of the machine's own matrix speed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from seedx.train.engine.throughput import matrix_speed
from seedx.train.recipe import Recipe
from seedx.train.stages.base import TALLIES

SHOWN = {"loss": "{:.4f}", "samples_s": "{:.1f}/s", "tokens_s": "{:.0f} tok/s", "wait": "{:.0%}", "mfu": "{:.0%}"}


class Log:
    """A context. Only the first rank of a run has one.

    Args:
        run: folder of the run; the records from `start` on, of a run that was killed later, are taken out.
        start: the first step.
    """

    def __init__(self, run: Path, recipe: Recipe, start: int, device: torch.device) -> None:
        self.file, self.recipe = run / "log.jsonl", recipe
        self.flops = 0  # of a step on this rank; 0: not measured
        self.full_speed = matrix_speed(device, torch.bfloat16 if recipe.bf16 else torch.float32)
        rewind(self.file, start)
        self.board = _board(run, start)
        self.bar = tqdm(total=recipe.steps, initial=start, desc=recipe.name, mininterval=2, dynamic_ncols=True)
        self._start_over()

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *error: Any) -> None:
        self.bar.close()
        if self.board:
            self.board.close()

    def waited(self, seconds: float) -> None:
        self.wait += seconds

    def step(self, step: int, values: Mapping[str, float], counts: Mapping[str, int]) -> None:
        """After each good step: means to log, and how many "samples" and "tokens" it had."""
        self.steps += 1
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        for name in TALLIES:
            self.tallies[name] = self.tallies.get(name, 0) + counts.get(name, 0)
        self.bar.update(step + 1 - self.bar.n)

    def write(self, step: int, more: Mapping[str, Any]) -> None:
        """The record of the steps since the last one."""
        seconds = time.perf_counter() - self.since
        record: dict[str, Any] = {"step": step, **{name: total / self.steps for name, total in self.sums.items()}}
        record |= {f"{name}_s": round(total / seconds, 1) for name, total in self.tallies.items() if total}
        record["wait"] = round(self.wait / seconds, 4)
        if self.flops:
            record["mfu"] = round(self.flops * self.steps / self.full_speed / seconds, 4)
        record |= {**more, "time": time.time()}
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        self.bar.set_postfix_str(" ".join(form.format(record[name]) for name, form in SHOWN.items() if name in record))
        if self.board:
            for name, value in record.items():
                if isinstance(value, (int, float)) and name not in ("step", "time"):
                    self.board.add_scalar(name, value, step)
        self._start_over()

    def _start_over(self) -> None:
        self.since, self.wait, self.steps = time.perf_counter(), 0.0, 0
        self.sums: dict[str, float] = {}
        self.tallies: dict[str, int] = {}


def read(file: Path) -> list[dict[str, Any]]:
    """The records of a log, without a last line that a kill cut off."""
    records = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def rewind(file: Path, start: int) -> None:
    """Take out what was logged of the steps that will be done again."""
    kept = [record for record in read(file) if record["step"] < start]
    aside = file.with_suffix(".part")
    aside.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
    os.replace(aside, file)


def _board(run: Path, start: int) -> Any:
    """TensorBoard's writer, or None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(run / "tensorboard"), purge_step=start or None)
