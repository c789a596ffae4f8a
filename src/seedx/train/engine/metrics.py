"""The metrics of a run: a progress bar, `log.jsonl`, and a tracker (`trackers.py`).

A record is a mean over the steps since the last one:

    {"step": 40, "loss": 2.1, "text": 1.9, "lr": 0.001, "grad_norm": 0.8, "samples_s": 310.0, "tokens_s": 9100.0,
     "source/stickers:draw/text": 1.7, "wait": 0.01, "utilization": 0.61, "mfu": 0.42, "memory_gib": 61.2,
     "skipped_steps": 0, "sample_errors": {"broken image": 2}, "time": 1764000000.0}

`wait` is the fraction of the time spent waiting for data. `mfu` (model FLOPs utilization) is the fraction of the GPU
vendor's peak FLOP/s, where that is known; `utilization` that of the FLOP/s that large matrices reached on this device
before the first step, when it was idle. `memory_gib` is the most that the first rank has used so far: on a GPU what
torch reserved, else the process's memory. `source/NAME/LOSS` is the mean over all that was supervised of the data set
NAME since the last record.
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

from seedx.deprecated import rename_keys
from seedx.train.engine.throughput import measured_peak, peak_memory, stated_peak
from seedx.train.engine.trackers import open_tracker
from seedx.train.recipe import Recipe
from seedx.train.stages.base import BY_SOURCE, TALLIES

SHOWN = {
    "loss": "{:.4f}",
    "samples_s": "{:.1f}/s",
    "tokens_s": "{:.0f} tok/s",
    "wait": "{:.0%}",
    "utilization": "{:.0%}",
}


class MetricsLogger:
    """A context manager, for the first rank of a run.

    Args:
        run: folder of the run; records from `start` on, of steps that are repeated, are removed.
        start: the first step.
    """

    def __init__(self, run: Path, recipe: Recipe, start: int, device: torch.device) -> None:
        self.file, self.recipe, self.device = run / "log.jsonl", recipe, device
        self.flops = 0  # of a step on this rank; 0: unknown
        dtype = torch.bfloat16 if recipe.bf16 else torch.float32
        peaks = {"utilization": measured_peak(device, dtype), "mfu": stated_peak(device, dtype)}
        self.peaks = {name: peak for name, peak in peaks.items() if peak}
        truncate_log(self.file, start)
        self.tracker = open_tracker(run, recipe, start)
        self.bar = tqdm(total=recipe.steps, initial=start, desc=recipe.name, mininterval=2, dynamic_ncols=True)
        self._reset()

    def __enter__(self) -> MetricsLogger:
        return self

    def __exit__(self, *error: Any) -> None:
        self.bar.close()
        self.tracker.close()

    def add_wait(self, seconds: float) -> None:
        self.wait += seconds

    def step(self, step: int, values: Mapping[str, float], counts: Mapping[str, int]) -> None:
        """Add a step: values to average (none if it was skipped), and its counts of "samples" and "tokens".

        Losses by source are averaged over all that they count, since a step may have little of a source.
        """
        self.steps += 1
        for name, value in values.items():
            weight = counts[name] if name.startswith(BY_SOURCE) else 1
            self.sums[name] = self.sums.get(name, 0.0) + weight * value
            self.weights[name] = self.weights.get(name, 0) + weight
        for name in TALLIES:
            self.tallies[name] = self.tallies.get(name, 0) + counts.get(name, 0)
        self.bar.update(step + 1 - self.bar.n)

    def write(self, step: int, more: Mapping[str, Any]) -> None:
        """Write the record of the steps since the last one."""
        seconds = time.perf_counter() - self.since
        means = {name: total / self.weights[name] for name, total in self.sums.items()}
        record: dict[str, Any] = {"step": step, **means}
        record |= {f"{name}_s": round(total / seconds, 1) for name, total in self.tallies.items() if total}
        record["wait"] = round(self.wait / seconds, 4)
        if self.flops:
            speed = self.flops * self.steps / seconds
            record |= {name: round(speed / peak, 4) for name, peak in self.peaks.items()}
        record |= {"memory_gib": round(peak_memory(self.device), 3), **more, "time": time.time()}
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        self.bar.set_postfix_str(" ".join(form.format(record[name]) for name, form in SHOWN.items() if name in record))
        numbers = {name: value for name, value in record.items() if isinstance(value, (int, float))}
        self.tracker.numbers({name: value for name, value in numbers.items() if name not in ("step", "time")}, step)
        self._reset()

    def write_validation(self, step: int, values: Mapping[str, float]) -> None:
        """Write a record of a validation: {"step": 99, "validation/loss": 2.0, "validation/text": 1.8}."""
        named = {f"validation/{name}": value for name, value in values.items()}
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **named, "time": time.time()}) + "\n")
        self.tracker.numbers(named, step)

    def _reset(self) -> None:
        self.since, self.wait, self.steps = time.perf_counter(), 0.0, 0
        self.sums: dict[str, float] = {}
        self.weights: dict[str, int] = {}
        self.tallies: dict[str, int] = {}


def read_log(file: Path) -> list[dict[str, Any]]:
    """The records of a log, without an incomplete last line."""
    records = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        # A new record with `mfu` has `utilization` as well, which is what the old `mfu` was.
        records.append(record if "utilization" in record else rename_keys("log record", record))
    return records


def truncate_log(file: Path, start: int) -> None:
    """Remove the records from step `start` on."""
    kept = [record for record in read_log(file) if record["step"] < start]
    part = file.with_suffix(".part")
    part.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
    os.replace(part, file)
