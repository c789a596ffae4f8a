"""Trains a model stage by stage from the recipes of a folder, with a record of each stage.

    python -m seedx_stickers.training.chain train recipes/tiny2 runs/tiny2 --threads 1
    python -m seedx_stickers.training.chain table recipes/tiny2 runs/tiny2
    python -m seedx_stickers.training.chain bundle recipes/tiny2 runs/tiny2

RECIPES/chain.toml names the stages that each one starts from. A stage has a model folder of its own, FOLDER/NAME, which
begins with the parts of those, and a record there (`chain_record.py`). The same command resumes, and does not run again
what is done. Started twice, it trains two stages at a time, where none needs the other. `bundle` makes a model of the
parts, each from the last stage that trained it.
"""

from __future__ import annotations

import logging
import shutil
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file

from seedx.checkpoint import weights
from seedx.errors import SeedxError
from seedx.train.engine.components import copy_missing
from seedx.train.engine.run_lock import run_lock
from seedx.train.recipe import load_recipe
from seedx.train.run import run
from seedx_stickers.training import chain_record
from seedx_stickers.training.bundle import bundle as write_bundle
from seedx_stickers.training.chain_record import RECORD, made, parts, read, timed, trained, write
from seedx_stickers.training.vision import WHOLE

log = logging.getLogger(__name__)
WAIT = 30.0  # seconds until another look, where all that is left needs what others train


def train(recipes: Path, folder: Path, /, *, threads: int = 2) -> None:
    """Run the stages that are not done, until all are, or one is stopped.

    Args:
        recipes: folder of TOML files.
        folder: of the stages' model folders.

    Raises:
        SeedxError: a stage did not start from what those before it have made; or as `run`.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    paths, starts = ordered(recipes), started_from(recipes)
    while left := [name for name in paths if not _is_done(name, starts[name], folder)]:
        for name in left:
            if not all("made" in read(folder / each) for each in starts[name]):
                continue
            with _held(folder / name) as is_ours:
                if is_ours and "made" not in read(folder / name):
                    if not _train(paths[name], name, starts[name], folder, threads):
                        return
                    break
        else:
            log.info("%s: trained elsewhere, or waiting for what is", ", ".join(left))
            time.sleep(WAIT)


def collect(recipes: Path, folder: Path, target: Path) -> None:
    """Copy the parts of the whole model into an empty folder, each from the last stage that trained it.

    Raises:
        SeedxError: a stage is not done.
    """
    for name, starts in reversed(started_from(recipes).items()):
        if not _is_done(name, starts, folder):
            raise SeedxError(f"{folder / name} is not done: train it first")
        for part in trained(read(folder / name)):
            for file in (folder / name).glob(f"{part}.*"):
                if not (target / file.name).exists():
                    shutil.copyfile(file, target / file.name)


def bundle(recipes: Path, folder: Path, /, *, preset: str = "tiny2", target: Path | None = None) -> None:
    """Bundle the model that the stages trained.

    Args:
        preset: its sizes.
        target: the model folder to write; None: that of the bundled model.

    Raises:
        SeedxError: as `collect` and `bundle.bundle`.
    """
    with TemporaryDirectory() as parts:
        collect(recipes, folder, Path(parts))
        write_bundle(Path(parts), target, preset)


def _is_done(name: str, before: list[str], folder: Path) -> bool:
    """
    Raises:
        SeedxError: it began with other parts than those before it have made.
    """
    record = read(folder / name)
    if record and record["started_from"] != made(before, folder):
        raise SeedxError(
            f"{name} began with other parts than {', '.join(before)} made: delete {folder / name} to train it again"
        )
    return "made" in record


def _train(path: Path, name: str, before: list[str], folder: Path, threads: int) -> bool:
    """Train one stage; whether it is done."""
    place, recipe = folder / name, load_recipe(path)
    record = read(place)
    log.info("%s: %s", name, "resumes" if record else "begins")
    if not record:
        for each in before:
            copy_missing(folder / each, place)
            heads = Path("runs", each, WHOLE)  # which the same stage can start from
            if (folder / each / heads).is_file():
                (place / heads).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / each / heads, place / heads)
            (place / RECORD).unlink(missing_ok=True)  # that of the other stage
        record = {"recipe": path.name, "started_from": parts(place)}
        write(place / RECORD, record)
        _is_done(name, before, folder)  # a copy may have been cut off
    record |= {
        "steps": recipe.steps,
        "seed": recipe.seed,
        "machine": chain_record.machine(),
        "versions": chain_record.versions(),
    }
    record["code"] = list(dict.fromkeys([*record.get("code", []), chain_record.code(recipe)]))
    with timed(place / RECORD, record):
        done = run(path, place, threads)
    if done:
        for part in trained(record | {"made": parts(place)}):
            halve(place, part)
        record["made"] = parts(place)
        write(place / RECORD, record)
    return done


def halve(folder: Path, part: str) -> None:
    """Store a part in half precision, as it is bundled: what a stage has made is kept in git until all are done."""
    file = folder / f"{part}.safetensors"
    if file.is_file():
        weights.write(folder, part, load_file(file), torch.float16)


@contextmanager
def _held(place: Path) -> Iterator[bool]:
    """Hold the lock of a stage's folder, unless another process does."""
    with ExitStack() as stack:
        try:
            stack.enter_context(run_lock(place))
        except SeedxError:
            yield False
            return
        yield True


def ordered(recipes: Path) -> dict[str, Path]:
    """The recipes by the names of their stages.

    Raises:
        SeedxError: there are none.
    """
    found = sorted(recipes.glob("[0-9]*.toml"))
    if not found:
        raise SeedxError(f"{recipes} has no recipes whose names begin with a number, such as 1-vision.toml")
    return {load_recipe(path).name: path for path in found}


def started_from(recipes: Path) -> dict[str, list[str]]:
    """The stages that each one starts from.

    Raises:
        SeedxError: chain.toml is missing, or does not name exactly the stages, each after those that it starts from.
    """
    file, known = recipes / "chain.toml", ordered(recipes)
    given = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if list(given) != list(known):
        raise SeedxError(f"{file} has a line for each stage in their order, such as vision = []: {', '.join(known)}")
    for index, (name, before) in enumerate(given.items()):
        if late := set(before) - {*list(known)[:index]}:
            raise SeedxError(f"{file}: {name} can't start from {', '.join(sorted(late))}, which is no stage before it")
    return given


def table(recipes: Path, folder: Path, /) -> str:
    """The records of all stages as a table in Markdown."""
    rows = [
        "| stage | steps | seed | core-minutes | code and settings | started from | made |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in ordered(recipes):
        record = read(folder / name)
        cells = (
            name,
            f"{record['steps']:,}" if record else "",
            str(record.get("seed", "")),
            f"{record['core_minutes']:,.0f}" if "core_minutes" in record else "",
            ", ".join(each[:8] for each in record.get("code", [])),
            ", ".join(f"{part} {value[:8]}" for part, value in record.get("started_from", {}).items()),
            ", ".join(f"{part} {value[:8]}" for part, value in trained(record).items()),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    import tyro

    printed = tyro.extras.subcommand_cli_from_dict({"train": train, "table": table, "bundle": bundle})
    if printed:
        print(printed)
