"""`seedx export`."""

from __future__ import annotations

import sys
from pathlib import Path

from seedx.verbs.output import file_errors


def export(run: str, out: Path, /, *, no_ema: bool = False) -> None:
    """Write the checkpoint of a training run as a model folder that --model takes, or its adapter.

    Args:
        run: folder of the run, such as runs/tiny/runs/vision, for its newest checkpoint; RUN@STEP for another.
        out: folder to write.
        no_ema: export the weights of the step, not their moving average.
    """
    from seedx.train import export as exports

    folder, at, number = run.rpartition("@")
    step = int(number) if at and number.isdigit() else None
    with file_errors():
        step, missing = exports.export(Path(run if step is None else folder), out, step, ema=not no_ema)
    print(f"{out}: step {step}")
    if missing:
        print(f"{out} is not a whole model: it has no {', '.join(missing)}", file=sys.stderr)
