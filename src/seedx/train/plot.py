"""Curves of runs from their logs, drawn with matplotlib (the extra `plot`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seedx.atomic import replacing_file
from seedx.errors import MissingPackageError, SeedxError
from seedx.train.engine.metrics import read_log

LAST = ("lr", "grad_norm", "samples_s", "tokens_s", "wait", "mfu", "utilization", "skipped_steps")  # after the losses
LOGARITHMIC = ("loss", "grad_norm")
SKIPPED = ("step", "time", "sample_errors")
COLUMNS = 3
POINTS = 200  # of a smoothed curve


def plot(runs: Sequence[Path], out: Path) -> Path:
    """Plot every logged value in a panel of its own, with a curve for each run, and return `out`.

    Raises:
        SeedxError: a folder has no log, `out` has no ending of an image format, or matplotlib is not installed.
        OSError: `out` can't be written.
    """
    records = {run: read_log(run / "log.jsonl") for run in runs}
    for run, found in records.items():
        if not found:
            raise SeedxError(f"{run} has no log.jsonl with records: give a run's folder, such as runs/tiny/runs/vision")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackageError('plots need matplotlib: pip install "seedx[plot]"') from error
    names = panels(records.values())
    rows = math.ceil(len(names) / COLUMNS)
    figure = Figure(figsize=(4.5 * COLUMNS, 2.8 * rows), layout="constrained")
    for axes, name in zip(figure.subplots(rows, COLUMNS, squeeze=False).flat, [*names, *[""] * COLUMNS], strict=False):
        _panel(axes, name, records)
    formats = figure.canvas.get_supported_filetypes()
    if out.suffix.lower().removeprefix(".") not in formats:
        raise SeedxError(f"{str(out)!r} must end in the name of an image format: {', '.join(sorted(formats))}")
    with replacing_file(out) as aside:
        figure.savefig(aside, dpi=110)
    return out


def panels(logs: Any) -> list[str]:
    """The names of all values in the logs: the loss, its components, then the rest."""
    names = {name for log in logs for record in log for name in record} - set(SKIPPED)
    parts = sorted(names - {"loss", *LAST})
    return [name for name in ("loss", *parts, *LAST) if name in names]


def smooth(values: Sequence[float]) -> list[float]:
    """A moving average, over a window of about 1 / `POINTS` of the curve."""
    reach = len(values) // POINTS
    windows = [values[max(0, i - reach) : i + reach + 1] for i in range(len(values))]
    return [sum(window) / len(window) for window in windows]


def _panel(axes: Any, name: str, records: dict[Path, list[dict[str, Any]]]) -> None:
    if not name:
        axes.set_axis_off()
        return
    for run, log in records.items():
        points = [(record["step"], record[name]) for record in log if name in record]
        if points:
            steps, values = zip(*points, strict=True)
            axes.plot(steps, smooth(values), label=run.name)
    axes.set_title(name, fontsize=10)
    axes.grid(alpha=0.3)
    if name in LOGARITHMIC and all(record.get(name, 1) > 0 for log in records.values() for record in log):
        axes.set_yscale("log")
    if len(records) > 1:
        axes.legend(fontsize=8)
