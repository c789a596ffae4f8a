"""Computed memory against measured memory: what `seedx info` says, on a model that fits here.

    python benchmarks/memory.py [--folder FOLDER] [--json]

A model of middle size with random weights answers, draws and reconstructs on the CPU, each in its own process. Measured
is the most that the process had in memory at once (VmHWM, mapped files included), computed is
`seedx.train.planning.inference`. `off` is computed / measured - 1. Needs Linux.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from random_release import VARIANT, release
from seedx.checkpoint.placement import Placement
from seedx.config import SEED_X_17B

MIDDLE = dataclasses.replace(
    SEED_X_17B,
    name="middle",
    vision=dataclasses.replace(SEED_X_17B.vision, width=768, layers=12, output_dim=1024),
    language=dataclasses.replace(
        SEED_X_17B.language, hidden_size=1024, intermediate_size=2816, layers=12, heads=16, vocab_size=4330
    ),
    detokenizer=dataclasses.replace(
        SEED_X_17B.detokenizer,
        dim=512,
        context_dims=(384, 640),
        unet={
            "block_out_channels": (128, 256, 512),
            "attention_head_dim": (2, 4, 8),
            "transformer_layers_per_block": (1, 1, 2),
        },
        condition=False,
    ),
)
PLACEMENTS: dict[str, dict[str, Any]] = {
    "bfloat16": {"dtype": "bfloat16"},
    "float32": {"dtype": "float32"},
    "one at a time, tiles": {
        "dtype": "bfloat16",
        "one_at_a_time": ("vision", "detokenizer"),
        "images_at_once": 1,
        "vae_tile": 256,
    },
}
VERBS = ("answer", "reconstruct", "draw")
SIDE = 512


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, help="to keep the model in")
    parser.add_argument("--json", action="store_true", help="print a list")
    parser.add_argument("--within", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.within:
        print(json.dumps(measured(options.folder / "model", *options.within)))
        return 0
    with tempfile.TemporaryDirectory() as where:
        folder = options.folder or Path(where)
        make(folder)
        rows = [row(folder, name, verb) for name in PLACEMENTS for verb in VERBS]
    print(json.dumps(rows, indent=1) if options.json else as_table(rows))
    return 0


def make(folder: Path) -> None:
    from seedx.checkpoint.convert import convert

    if (folder / "model").is_dir():
        return
    for part in release(MIDDLE, folder / "pretrained"):
        print(f"made: {part}", file=sys.stderr)
    convert(folder / "pretrained", folder / "model", variant=VARIANT)


def row(folder: Path, name: str, verb: str) -> dict[str, Any]:
    from seedx.checkpoint.native import read_config
    from seedx.train.planning.inference import PROCESS, Usage

    command = [sys.executable, __file__, "--folder", folder, "--within", name, verb]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    usage = Usage(read_config(folder / "model"), Placement(**PLACEMENTS[name]))
    computed = {
        "answer": usage.answer,
        "draw": lambda: usage.draw(SIDE),
        "reconstruct": lambda: usage.reconstruct(SIDE),
    }
    size = computed[verb]()
    of = {"computed_gb": size / 1e9, "off": size / 1e9 / found["peak_gb"] - 1, "process_gb": PROCESS["cpu"] / 1e9}
    return {"placement": name, "verb": verb} | found | {key: round(value, 3) for key, value in of.items()}


def measured(folder: Path, name: str, verb: str) -> dict[str, float]:
    """In this process: GB at most, and before anything was computed."""
    import PIL.Image

    import seedx

    model = seedx.load(folder, memory=Placement(**PLACEMENTS[name]))
    before = status("VmRSS")
    picture = PIL.Image.radial_gradient("L").resize((1344, 896)).convert("RGB")
    if verb == "answer":
        for _ in range(2):  # the first time the language model is read after the picture was
            model.chat("what is this?", [picture], drawing="forbid", max_new_tokens=4)
    elif verb == "draw":
        model.draw("a dog beside a red car", drawing="now", size=(SIDE, SIDE), steps=2, max_new_tokens=70)
    else:
        model.reconstruct(picture, size=(SIDE, SIDE), steps=2)
    return {"peak_gb": status("VmHWM"), "before_gb": before}


def status(what: str) -> float:
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return round(int(found[1]) * 1024 / 1e9, 3)


def as_table(rows: list[dict[str, Any]]) -> str:
    lines = ["| placement | verb | measured GB | computed GB | off | before |", "|---|---|---|---|---|---|"]
    for each in rows:
        sizes = f"{each['peak_gb']:.2f} | {each['computed_gb']:.2f} | {each['off']:+.1%} | {each['before_gb']:.2f}"
        lines.append(f"| {each['placement']} | {each['verb']} | {sizes} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
