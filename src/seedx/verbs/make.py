"""Verbs that make and check models: train, eval, bench, convert, verify, info."""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seedx.errors import SeedxError
from seedx.verbs.shared import TINY, Source, print_json

if TYPE_CHECKING:
    from seedx.config import Config


def train(
    recipe: Path,
    /,
    *,
    folder: Path = Path("runs/tiny"),
    threads: int | None = None,
    set: tuple[str, ...] = (),
    dry_run: bool = False,
    accept_changes: bool = False,
) -> None:
    """Train one stage by its recipe; the same call goes on where it stopped.

    SIGTERM and Ctrl-C save and stop after the step; the exit code is 0 then, too, and the last line says how far it is.

    Args:
        recipe: TOML file of the stage.
        folder: the model that is trained: its weights are read and written there.
        threads: of the CPU.
        set: fields to change, as name=value; data.0.weight=2 reaches inside.
        dry_run: only show what would be trained, in how much memory, and what the data is like.
        accept_changes: go on with a recipe that is not the one that the run began with.
    """
    import logging

    from seedx.train.run import dry_run as describe
    from seedx.train.run import run

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    changes = dict(_assignment(text) for text in set)
    if dry_run:
        print(describe(recipe, folder, **changes))
    elif not run(recipe, folder, threads, accept_changes, **changes):
        print("stopped and saved: the same command goes on")


def plot(runs: tuple[Path, ...], /, *, out: Path | None = None) -> None:
    """Draw the curves of runs: losses, learning rate, gradients, speed.

    Args:
        runs: folders of runs, as runs/tiny/runs/vision; several are drawn over each other.
        out: picture to write; curves.png in the first folder unless given.
    """
    from seedx.train.plot import plot as draw

    print(draw(runs, out or runs[0] / "curves.png"))


def bench(*, repeats: int = 5, json: bool = False, source: Source = TINY) -> None:
    """Time the model's verbs on this machine.

    Args:
        repeats: of each; the median counts.
        json: print one object of seconds.
    """
    from seedx.inference.bench import as_table, bench

    start = time.perf_counter()
    model = source.load()
    seconds = {"load": round(time.perf_counter() - start, 3), **bench(model, repeats)}
    print_json(seconds) if json else print(as_table(seconds))


def convert(
    release: Path,
    folder: Path,
    /,
    *,
    sizes: str = "17b",
    dtype: Literal["float32", "float16", "bfloat16"] | None = None,
) -> None:
    """Turn the release's files into a folder that --model takes.

    Args:
        release: folder with the release's agent, llm, seed_detokenizer, tokenizer, qwen_vit_G.pt and SDXL's vae, unet.
        folder: to write.
        sizes: a preset (17b), or a config.json of other sizes.
        dtype: to store; as in the files unless given.
    """
    import torch
    from tqdm import tqdm

    from seedx.checkpoint.release import convert as run

    with tqdm(unit="B", unit_scale=True, disable=not sys.stderr.isatty()) as bar:

        def show(part: str, size: int) -> None:
            bar.set_description(part)
            bar.update(size)

        run(release, folder, _sizes(sizes), getattr(torch, dtype) if dtype else None, show)
    print(f"{folder}: try `seedx chat --model {folder}`")


def verify(folder: Path, /, *, json: bool = False) -> int:
    """Check every golden case in a folder against the release.

    Args:
        folder: of cases NAME.json and NAME.safetensors.
        json: print one object instead of a table.
    """
    from seedx.verify import main

    return main(folder, json)


def info(model: str = "tiny", /, *, json: bool = False) -> None:
    """Tell parameters and memory by module.

    Args:
        model: a preset (17b, tiny), a folder, or a hub id.
        json: print a list instead of a table.
    """
    from seedx.checkpoint.info import info, table

    rows = info(model)
    print_json([dataclasses.asdict(row) for row in rows]) if json else print(table(rows))


def _assignment(text: str) -> tuple[str, Any]:
    """ "steps=10" -> ("steps", 10)."""
    import json

    name, equals, value = text.partition("=")
    if not equals:
        raise SeedxError(f"--set takes name=value, not {text!r}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _sizes(name: str) -> Config:
    from seedx.checkpoint.native import read_config
    from seedx.config import PRESETS

    if name in PRESETS:
        return PRESETS[name]
    if Path(name).name == "config.json":
        return read_config(Path(name).parent)
    raise SeedxError(f"sizes are a preset ({', '.join(PRESETS)}) or a file config.json, not {name!r}")
