"""Kill a training run with -9 at random moments, resume it by the same command, and compare its weights bit by bit.

    python benchmarks/kill_resume.py --kills 30 --seed 0 [--json]

Two real runs of a model of one layer: the autoencoder (pictures made from the step) and the language model (packed rows
from data with a position, read by two workers). Each is run once without interruption. Then it is started over, killed
and resumed until it is complete; every other kill waits for a save to begin and interrupts it. If a run completes
before all kills are spent, it starts over.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from seedx.checkpoint import native
from seedx.checkpoint.parts import Model
from seedx.config import TINY
from seedx.model.detokenizer import Detokenizer
from seedx.model.seedx import SeedX
from seedx.tokenizer import train_tokenizer
from seedx_stickers import tasks

COMMON = "steps = 40\nwarmup_steps = 4\nema_decay = 0.99\nsave_seconds = 0.1\nlog_every = 5\nkeep_last = 2\n"
RECIPES = {
    "vae": 'name = "vae"\nstage = "vae"\nglobal_batch_size = 4\n' + COMMON,
    "language": 'name = "language"\nstage = "language"\nglobal_batch_size = 4\nmicro_batch_size = 2\nstreams = 4\n'
    + "workers = 2\nmax_seq_len = 160\n"
    + COMMON
    + '[[data]]\nsource = "stickers:conversation"\n[[data]]\nsource = "stickers:draw"\n',
}
RESULTS = {"vae": ("vae",), "language": ("language", "bridge")}  # parts that a stage writes


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as where:
        base = make_model(Path(where) / "model")
        report = {
            stage: torture(stage, base, Path(where) / stage, kills, random.Random(f"{options.seed}/{stage}"))
            for stage, kills in zip(RECIPES, (options.kills // 2, options.kills - options.kills // 2), strict=True)
        }
    print(json.dumps(report, indent=1) if options.json else as_table(report))
    return 0 if all(result["equal"] for result in report.values()) else 1


def make_model(folder: Path) -> Path:
    """A model with random weights and the sizes of the tiny one, a layer each."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(tasks.texts(100, seed=0), 700)
    config = dataclasses.replace(
        TINY,
        vision=dataclasses.replace(TINY.vision, layers=1),
        language=dataclasses.replace(TINY.language, layers=1, vocab_size=tokenizer.vocab_size),
    )
    detokenizer = Detokenizer(config.detokenizer, config.vision.output_dim)
    native.save(Model(config, SeedX(config), detokenizer, tokenizer), folder)
    return folder


def torture(stage: str, base: Path, where: Path, kills: int, rng: random.Random) -> dict[str, object]:
    """Kill a stage's run `kills` times.

    Returns:
        How many kills fell into a save, how many runs came to their end, and whether each ended as the undisturbed one.
    """
    where.mkdir()
    recipe = where / f"{stage}.toml"
    recipe.write_text(RECIPES[stage], encoding="utf-8")
    undisturbed = shutil.copytree(base, where / "undisturbed")
    start = time.monotonic()
    if finished(command(recipe, undisturbed)) != 0:
        raise SystemExit(f"the undisturbed run of {stage} failed")
    seconds = time.monotonic() - start
    spent = in_save = done = 0
    equal, folder = True, where / "killed"
    while spent < kills or folder.exists():
        if not folder.exists():
            shutil.copytree(base, folder)
        process = subprocess.Popen(command(recipe, folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if spent < kills and killed(process, folder / "runs" / stage / "checkpoints", seconds, spent % 2 == 1, rng):
            in_save += spent % 2
            spent += 1
            continue
        if process.wait() != 0:
            raise SystemExit(f"the resumed run of {stage} failed: {' '.join(command(recipe, folder))}")
        done += 1
        equal &= all(same(undisturbed, folder, part) for part in RESULTS[stage])
        shutil.rmtree(folder)
    return {"kills": spent, "aimed_at_a_save": in_save, "runs": done, "equal": equal, "seconds_undisturbed": seconds}


def command(recipe: Path, folder: Path) -> list[str]:
    return [sys.executable, "-m", "seedx.cli", "train", str(recipe), "--folder", str(folder), "--threads", "1"]


def finished(arguments: list[str]) -> int:
    return subprocess.run(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


def killed(process: subprocess.Popen[bytes], saves: Path, seconds: float, in_save: bool, rng: random.Random) -> bool:
    """Kill the process within about the time of a run, or shortly after a save has begun; False: it ended before."""
    moment = time.monotonic() + rng.uniform(0, seconds)
    while process.poll() is None:
        if time.monotonic() > moment and (not in_save or any(saves.glob("*.part"))):
            time.sleep(rng.uniform(0, 0.05) if in_save else 0)
            process.kill()
            return process.wait() == -9
        time.sleep(0.001)
    return False


def same(one: Path, other: Path, part: str) -> bool:
    first, second = ((folder / f"{part}.safetensors").read_bytes() for folder in (one, other))
    return first == second


def as_table(report: dict[str, dict[str, object]]) -> str:
    return "\n".join(
        f"{stage:<10} {result['kills']} kills, {result['aimed_at_a_save']} of them in a save; {result['runs']} runs: "
        f"{'equal to the undisturbed one bit by bit' if result['equal'] else 'NOT EQUAL'}"
        for stage, result in report.items()
    )


if __name__ == "__main__":
    sys.exit(main())
