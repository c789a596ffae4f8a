"""The whole of SEED-X-I at full size in little memory: made, converted, asked and drawn with, each in its own process.

    python benchmarks/full_size.py --folder full [--stage make|convert|answer|draw|all] [--scale full|small] [--json]

    make      a release of the real shapes with random weights, 36 GB
    convert   seedx convert: the language model as GGUF (q4_0), the other parts in bfloat16, 17 GB; the release is
              deleted, unless --keep
    answer    a question about a picture of 1344 x 896, whose grid gives three tiles and the thumbnail: 20 tokens
    draw      one picture of 512 x 512 in two steps

The last two run with `memory="cpu"` and the engine llama_cpp. Of each stage: seconds, and the most memory that its
process had at once (VmHWM: mapped files that were read count). A stage that is done is not repeated; results.json in
the folder has what was measured. Weights are random, and so are words and picture: this is about memory and speed. It
needs Linux, the extras `llama` and `release`, and 57 GB of disk (small: 1 GB).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from random_release import VARIANT, release
from seedx.config import SEED_X_17B, Config

STAGES = ("make", "convert", "answer", "draw")
LIMITS = {"convert": 6.0, "answer": 20.0, "draw": 20.0}  # GB that a stage may take
TOKENS, SIZE, DRAWN, STEPS = 20, (1344, 896), (512, 512), 2
QUESTION = "What is in this picture?"
SMALL = dataclasses.replace(
    SEED_X_17B,
    name="small",
    vision=dataclasses.replace(SEED_X_17B.vision, width=256, layers=4, output_dim=512),
    language=dataclasses.replace(
        SEED_X_17B.language, hidden_size=640, intermediate_size=1728, layers=4, heads=8, vocab_size=4330
    ),
    detokenizer=dataclasses.replace(
        SEED_X_17B.detokenizer,
        dim=256,
        context_dims=(192, 320),
        unet={
            "block_out_channels": (64, 128, 256),
            "attention_head_dim": (1, 2, 4),
            "transformer_layers_per_block": (1, 1, 2),
        },
        condition=False,
    ),
)
SCALES: dict[str, Config] = {"full": SEED_X_17B, "small": SMALL}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="for 57 GB of files")
    parser.add_argument("--stage", choices=(*STAGES, "all"), default="all")
    parser.add_argument("--scale", choices=SCALES, default="full")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", action="store_true", help="keep the release after its conversion")
    parser.add_argument("--again", action="store_true", help="repeat stages that are done")
    parser.add_argument("--json", action="store_true", help="print one object")
    parser.add_argument("--within", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.within:
        return within(options)
    for stage in STAGES if options.stage == "all" else (options.stage,):
        if options.again or stage not in results(options.folder):
            command = [sys.executable, __file__, "--within", "--folder", options.folder, "--stage", stage]
            command += ["--scale", options.scale, "--threads", str(options.threads), *["--keep"] * options.keep]
            environment = os.environ | {"OMP_NUM_THREADS": str(options.threads)}
            if code := subprocess.run(command, env=environment).returncode:
                return code
    found = results(options.folder)
    print(json.dumps(found, indent=1) if options.json else as_table(found))
    return int(any(found[stage]["peak_gb"] > limit for stage, limit in LIMITS.items() if stage in found))


def within(options: argparse.Namespace) -> int:
    """One stage, in this process; its measurements go to results.json."""
    stages: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
        "make": make,
        "convert": convert,
        "answer": answer,
        "draw": draw,
    }
    start = time.perf_counter()
    details = stages[options.stage](options)
    seconds = round(time.perf_counter() - start, 1)
    measured = {"seconds": seconds, "peak_gb": peak(), "scale": options.scale, "threads": options.threads}
    measured |= details | {"machine": machine()}
    found = results(options.folder) | {options.stage: measured}
    (options.folder / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    return 0


def make(options: argparse.Namespace) -> dict[str, Any]:
    for part in release(SCALES[options.scale], options.folder / "pretrained"):
        print(f"made: {part}", file=sys.stderr)
    return {"disk_gb": disk(options.folder / "pretrained")}


def convert(options: argparse.Namespace) -> dict[str, Any]:
    from seedx.checkpoint.convert import convert as from_release

    source, target = options.folder / "pretrained", options.folder / "model"
    from_release(source, target, variant=VARIANT, gguf="q4_0")
    if not options.keep:
        shutil.rmtree(source)
    return {"disk_gb": disk(target)}


def answer(options: argparse.Namespace) -> dict[str, Any]:
    import PIL.Image

    model, seconds = load(options)
    picture = PIL.Image.radial_gradient("L").resize(SIZE).convert("RGB")
    start = time.perf_counter()
    request = model.engine.turn(QUESTION, [picture])
    # A random model ends or draws at any moment: forbid the one, and say how many tokens there were.
    rows = [each for each in tokens_of(model, request)]
    return {"load": seconds, "verb": round(time.perf_counter() - start, 1), "tokens": len(rows), "limit": TOKENS}


def tokens_of(model: Any, turn: Any) -> list[int]:
    """The new tokens of a reply."""
    from seedx.inference.engine import Request
    from seedx.inference.events import EndEvent
    from seedx.inference.settings import Settings

    request = Request([turn], Settings(max_new_tokens=TOKENS), drawing="forbid")
    ends = [event for _, event in model.engine.respond([request]) if isinstance(event, EndEvent)]
    return ends[0].ids


def draw(options: argparse.Namespace) -> dict[str, Any]:
    model, seconds = load(options)
    start = time.perf_counter()
    drawn = model.draw("a dog beside a red car", drawing="now", size=DRAWN, steps=STEPS)
    drawn.save(options.folder / "drawing.png")
    return {"load": seconds, "verb": round(time.perf_counter() - start, 1), "size": list(drawn.size), "steps": STEPS}


def load(options: argparse.Namespace) -> tuple[Any, float]:
    import seedx

    start = time.perf_counter()
    folder = options.folder / "model"
    model = seedx.load(folder, memory="cpu", engine="llama_cpp", threads=options.threads, repack=False)
    return model, round(time.perf_counter() - start, 1)


def results(folder: Path) -> dict[str, Any]:
    file = folder / "results.json"
    return dict(json.loads(file.read_text())) if file.is_file() else {}


def peak() -> float:
    """GB: the most that this process had in memory at once, mapped files included."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return round(int(found[1]) * 1024 / 1e9, 2)


def disk(folder: Path) -> float:
    return round(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e9, 1)


def machine() -> str:
    names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{len(names)} cores of {names[0] if names else platform.processor()}, {pages / 2**30:.0f} GiB of RAM"


def as_table(found: dict[str, Any]) -> str:
    lines = ["| stage | seconds | GB at most | allowed | besides |", "|---|---|---|---|---|"]
    for stage in (each for each in STAGES if each in found):
        each = found[stage]
        rest = {key: each[key] for key in each if key not in ("seconds", "peak_gb", "machine", "scale", "threads")}
        besides = ", ".join(f"{key} {value}" for key, value in rest.items())
        lines.append(f"| {stage} | {each['seconds']} | {each['peak_gb']} | {LIMITS.get(stage, '')} | {besides} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
