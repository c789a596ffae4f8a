"""Trains a model stage by stage from the recipes of a folder, with a record of each stage.

    python -m seedx_stickers.training.chain train recipes/tiny2 runs/tiny2 --threads 1
    python -m seedx_stickers.training.chain table recipes/tiny2 runs/tiny2
    python -m seedx_stickers.training.chain bundle recipes/tiny2 runs/tiny2

RECIPES/chain.toml names the stages that each one starts from. A stage has a model folder of its own, FOLDER/NAME, which
begins with the parts of those. The same command resumes, and does not run again what is done. Started twice, it trains
two stages at a time, where none needs the other. `bundle` makes a model of the parts, each from the last stage that
trained it. FOLDER/NAME/record.json, which `table` prints:
    steps, seed, machine, versions
    code            digests of code and recipe that it ran on: several, if they changed while it was stopped
    started_from    digests of the parts that it began with
    made            digests of the parts in its folder when it was done
    core_minutes    of the processor, of all the times together that it ran
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import resource
import shutil
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file

from seedx.checkpoint import weights
from seedx.errors import SeedxError
from seedx.train.engine.components import copy_missing, replace_text
from seedx.train.engine.run_lock import run_lock
from seedx.train.feature_cache.digest import digest
from seedx.train.recipe import Recipe, load_recipe
from seedx.train.recipe_changes import as_json
from seedx.train.run import run, stage_named
from seedx_stickers.training.bundle import bundle as write_bundle

log = logging.getLogger(__name__)
CODE = ("seedx.train.run", "seedx_stickers.training.source")  # besides that of the stage
RECORD = "record.json"
NOTED_EVERY = 60.0  # seconds
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
            (place / RECORD).unlink(missing_ok=True)  # that of the other stage
        record = {"recipe": path.name, "started_from": parts(place)}
        _write(place / RECORD, record)
        _is_done(name, before, folder)  # a copy may have been cut off
    record |= {"steps": recipe.steps, "seed": recipe.seed, "machine": machine(), "versions": versions()}
    record["code"] = list(dict.fromkeys([*record.get("code", []), code(recipe)]))
    with _timed(place / RECORD, record):
        done = run(path, place, threads)
    if done:
        for part in trained(record | {"made": parts(place)}):
            halve(place, part)
        record["made"] = parts(place)
        _write(place / RECORD, record)
    return done


def halve(folder: Path, part: str) -> None:
    """Store a part in half precision, as it is bundled: what a stage has made is kept in git until all are done."""
    file = folder / f"{part}.safetensors"
    if file.is_file():
        weights.write(folder, part, load_file(file), torch.float16)


def made(stages: list[str], folder: Path) -> dict[str, str]:
    """Digests of the parts that these stages made, or began with.

    Raises:
        SeedxError: two of them have another part of the same name.
    """
    found: dict[str, str] = {}
    for stage in stages:
        for part, value in read(folder / stage).get("made", {}).items():
            if found.setdefault(part, value) != value:
                raise SeedxError(f"{' and '.join(stages)} have a different {part}: delete the older one of {folder}")
    return found


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


def trained(record: dict[str, Any]) -> dict[str, str]:
    """Digests of the parts that a stage has made and did not begin with."""
    before = record.get("started_from", {})
    return {part: value for part, value in record.get("made", {}).items() if before.get(part) != value}


def parts(folder: Path) -> dict[str, str]:
    """Digests of the files of weights and of the tokenizer in a model's folder."""
    files = [*sorted(folder.glob("*.safetensors")), folder / "tokenizer.json"]
    return {file.stem: _digest(file) for file in files if file.is_file()}


def code(recipe: Recipe) -> str:
    """Digest of the recipe, of its stage and of what makes the data, with all that they import of both packages."""
    return digest(settings=as_json(recipe), sources=(*CODE, stage_named(recipe.stage).__module__))


def machine() -> str:
    """Processor and number of cores."""
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.machine()


def versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("torch", "transformers", "diffusers")}


def read(place: Path) -> dict[str, Any]:
    """The record of a stage's folder; empty if there is none yet."""
    file = place / RECORD
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


@contextmanager
def _timed(file: Path, record: dict[str, Any]) -> Iterator[None]:
    """Keep `core_minutes` of a record, on the disk as well: a stage may be killed."""
    before, start, ended = record.get("core_minutes", 0.0), _cpu_seconds(), threading.Event()

    def note() -> None:
        record["core_minutes"] = round(before + (_cpu_seconds() - start) / 60, 2)
        _write(file, record)

    def watch() -> None:
        note()
        while not ended.wait(NOTED_EVERY):
            note()

    thread = threading.Thread(target=watch, name="core-minutes", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        note()


def _cpu_seconds() -> float:
    """Of this process and of its workers that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _write(file: Path, record: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_text(file, json.dumps(record, indent=1) + "\n")


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []


if __name__ == "__main__":
    import tyro

    printed = tyro.extras.subcommand_cli_from_dict({"train": train, "table": table, "bundle": bundle})
    if printed:
        print(printed)
