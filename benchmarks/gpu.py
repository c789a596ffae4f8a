"""The released model's shapes on a GPU: tokens and pictures a second, and the most memory, in each memory mode.

    python benchmarks/gpu.py --folder full [--device cuda] [--modes full,int8,24gb,12gb] [--json]

A folder `full/model` with weights of torch is used as it is; without one, a release with random weights is made and
converted there (36 GB, and 36 GB more). Each mode runs in its own process: a question about a picture of 1344 x 896 (64
tokens), one picture of 1024 x 1024 in 20 steps, and the same twice more, timed. Last, the tiny model in bfloat16 on the
device against float32 on the CPU.

It needs an accelerator, and says so where there is none: nothing of it has been run by the authors.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from seedx.checkpoint.placement import Placement, placement

TOKENS, SIZE, DRAWN, STEPS, REPEATS = 64, (1344, 896), (1024, 1024), 20, 2
MODES: dict[str, Callable[[str], Placement]] = {
    "full": lambda device: placement("full", device),
    "int8": lambda device: dataclasses.replace(placement("24gb", device), language="int8"),
    "24gb": lambda device: placement("24gb", device),
    "12gb": lambda device: placement("12gb", device),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--json", action="store_true", help="print a list")
    parser.add_argument("--within", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not torch.accelerator.is_available():
        print(
            "benchmarks/gpu.py needs an accelerator, and torch finds none here: nothing was measured", file=sys.stderr
        )
        return 2
    if unknown := set(options.modes.split(",")) - set(MODES):
        parser.error(f"--modes are {', '.join(MODES)}, not {', '.join(sorted(unknown))}")
    if options.within == "close":
        print(json.dumps(close(options.device)))
        return 0
    if options.within:
        print(json.dumps(measured(options.folder / "model", options.within, options.device)))
        return 0
    make(options.folder)
    rows = [within(options, mode) for mode in options.modes.split(",")]
    found = {"device": torch.cuda.get_device_name() if torch.cuda.is_available() else options.device}
    found |= {"modes": rows, "bfloat16": within(options, "close")}
    print(json.dumps(found, indent=1) if options.json else as_table(found))
    return 0


def make(folder: Path) -> None:
    """A model folder with random weights, unless there is one."""
    from random_release import VARIANT, release
    from seedx.checkpoint.convert import convert
    from seedx.config import SEED_X_17B

    if (folder / "model" / "language.safetensors.index.json").is_file():
        return
    for part in release(SEED_X_17B, folder / "pretrained"):
        print(f"made: {part}", file=sys.stderr)
    convert(folder / "pretrained", folder / "model", variant=VARIANT)


def within(options: argparse.Namespace, mode: str) -> dict[str, Any]:
    """In a process of its own, so that memory is counted from nothing."""
    command = [sys.executable, __file__, "--folder", options.folder, "--device", options.device, "--within", mode]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"mode": mode, "error": (done.stderr.strip().splitlines() or ["it failed"])[-1]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measured(folder: Path, mode: str, device: str) -> dict[str, Any]:
    import PIL.Image

    import seedx

    model = seedx.load(folder, memory=MODES[mode](device))
    picture = PIL.Image.radial_gradient("L").resize(SIZE).convert("RGB")
    verbs: dict[str, Callable[[], object]] = {
        "answer": lambda: model.chat("What is this?", [picture], drawing="forbid", max_new_tokens=TOKENS),
        "prompt": lambda: model.chat("What is this?", [picture], drawing="forbid", max_new_tokens=1),
        "draw": lambda: model.draw("a dog beside a red car", drawing="now", size=DRAWN, steps=STEPS),
    }
    seconds, peaks = {}, {}
    for name, verb in verbs.items():
        torch.cuda.reset_peak_memory_stats()
        verb()  # loads, and compiles kernels
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(REPEATS):
            verb()
        torch.cuda.synchronize()
        seconds[name] = (time.perf_counter() - start) / REPEATS
        peaks[name] = torch.cuda.max_memory_allocated() / 1e9
    return {
        "mode": mode,
        "tokens_a_second": (TOKENS - 1) / (seconds["answer"] - seconds["prompt"]),
        "pictures_a_second": 1 / seconds["draw"],
        "seconds": seconds,
        "peak_gb": peaks,
    }


def close(device: str) -> dict[str, float]:
    """The tiny model in bfloat16 on the device against float32 on the CPU: largest differences, relative to the largest
    value. The golden cases themselves are in float32; `seedx verify tests/golden` checks them on the CPU."""
    import PIL.Image

    import seedx

    picture = PIL.Image.radial_gradient("L").resize((96, 96)).convert("RGB")
    here, there = seedx.load("tiny"), seedx.load("tiny", device=device, dtype=torch.bfloat16)
    found = {}
    one, other = (model.engine.image_decoder.encode([picture]).float().cpu() for model in (here, there))
    found["features"] = float((one - other).abs().max() / one.abs().max())
    drawn = [torch.tensor(list(model.reconstruct(picture, picture).tobytes())).float() for model in (here, there)]
    found["reconstruction, mean of 255"] = float((drawn[0] - drawn[1]).abs().mean())
    return found


def as_table(found: dict[str, Any]) -> str:
    lines = [
        f"{found['device']}:",
        "",
        "| mode | tokens/s | pictures/s | GB, answer | GB, draw |",
        "|---|---|---|---|---|",
    ]
    for each in found["modes"]:
        if "error" in each:
            lines.append(f"| {each['mode']} | {each['error']} | | | |")
            continue
        rates = f"{each['tokens_a_second']:.1f} | {each['pictures_a_second']:.2f}"
        lines.append(f"| {each['mode']} | {rates} | {each['peak_gb']['answer']:.1f} | {each['peak_gb']['draw']:.1f} |")
    return "\n".join([*lines, "", f"bfloat16 against float32, tiny model: {found['bfloat16']}"])


if __name__ == "__main__":
    sys.exit(main())
