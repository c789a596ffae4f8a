"""`seedx export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from seedx.verbs.output import file_errors


def export(run: str, out: Path, /, *, no_ema: bool = False, keep_adapter: bool = False) -> None:
    """Write the checkpoint of a training run as a model folder that --model takes, or its adapter.

    Args:
        run: folder of the run, such as runs/tiny/runs/vision, for its newest checkpoint; RUN@STEP for another,
            RUN@best for the best by validation, or by the training loss without it.
        out: folder to write.
        no_ema: export the weights of the step, not their moving average.
        keep_adapter: of a run with lora = true, write what LoRA has learnt to OUT/adapters/NAME, for --adapter, and do
            not merge it.
    """
    from seedx.train import export as exports

    folder, at, number = run.rpartition("@")
    asked: int | Literal["best"] | None = None
    if at and (number.isdigit() or number == "best"):
        asked = "best" if number == "best" else int(number)
    with file_errors():
        source = Path(run if asked is None else folder)
        step, missing = exports.export(source, out, asked, ema=not no_ema, keep_adapter=keep_adapter)
    print(f"{out}: step {step}")
    if missing:
        print(f"{out} is not a whole model: it has no {', '.join(missing)}", file=sys.stderr)
