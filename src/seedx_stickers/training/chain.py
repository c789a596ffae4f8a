"""Trains a model stage by stage, the recipes of a folder in the order of their names, with a record of each stage.

    python -m seedx_stickers.training.chain train recipes/tiny2 runs/tiny2 --threads 2
    python -m seedx_stickers.training.chain table recipes/tiny2 runs/tiny2

The same command resumes; a stage that is done is not run again. FOLDER/runs/NAME/record.json, which `table` prints:
    steps, seed, machine, versions
    code            digests of code and recipe that it ran on: several, if they changed while it was stopped
    started_from    digests of the parts that were in the folder when it began
    made            digests of the parts in the folder when it was done
    core_minutes    of the processor, of all the times together that it ran
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from seedx.errors import SeedxError
from seedx.train.engine.components import replace_text
from seedx.train.feature_cache.digest import digest
from seedx.train.recipe import Recipe, load_recipe
from seedx.train.recipe_changes import as_json
from seedx.train.run import run, stage_named

log = logging.getLogger(__name__)
CODE = ("seedx.train.run", "seedx_stickers.training.source")  # besides that of the stage
NOTED_EVERY = 60.0  # seconds


def train(recipes: Path, folder: Path, /, *, threads: int = 2) -> None:
    """Run the stages that are not done.

    Args:
        recipes: folder of TOML files.
        folder: of the model.

    Raises:
        SeedxError: a stage did not start from what the one before it has made; or as `run`.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    before: dict[str, str] | None = None  # what the stage before has made
    for path in ordered(recipes):
        recipe = load_recipe(path)
        file = folder / "runs" / recipe.name / "record.json"
        record = read(file)
        if before is not None and record.get("started_from", before) != before:
            raise SeedxError(
                f"{recipe.name} began with other parts than the stage before it has made: delete {file.parent} to "
                "train it again"
            )
        if "made" in record:
            before = record["made"]
            continue
        log.info("%s: %s", recipe.name, "resumes" if record else "begins")
        record = record or {"recipe": path.name, "started_from": parts(folder)}
        record |= {"steps": recipe.steps, "seed": recipe.seed, "machine": machine(), "versions": versions()}
        record["code"] = list(dict.fromkeys([*record.get("code", []), code(recipe)]))
        with _timed(file, record):
            done = run(path, folder, threads)
        if not done:
            return
        before = record["made"] = parts(folder)
        _write(file, record)


def ordered(recipes: Path) -> list[Path]:
    """
    Raises:
        SeedxError: there are none.
    """
    found = sorted(recipes.glob("[0-9]*.toml"))
    if not found:
        raise SeedxError(f"{recipes} has no recipes whose names begin with a number, such as 1-vision.toml")
    return found


def table(recipes: Path, folder: Path, /) -> str:
    """The records of all stages as a table in Markdown."""
    rows = [
        "| stage | steps | seed | core-minutes | code and settings | started from | made |",
        "|---|---|---|---|---|---|---|",
    ]
    for path in ordered(recipes):
        name = load_recipe(path).name
        record = read(folder / "runs" / name / "record.json")
        before, made = record.get("started_from", {}), record.get("made", {})
        cells = (
            name,
            f"{record['steps']:,}" if record else "",
            str(record.get("seed", "")),
            f"{record['core_minutes']:,.0f}" if "core_minutes" in record else "",
            ", ".join(each[:8] for each in record.get("code", [])),
            ", ".join(f"{part} {value[:8]}" for part, value in before.items()),
            ", ".join(f"{part} {value[:8]}" for part, value in made.items() if before.get(part) != value),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


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


def read(file: Path) -> dict[str, Any]:
    """A record; empty if there is none yet."""
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

    printed = tyro.extras.subcommand_cli_from_dict({"train": train, "table": table})
    if printed:
        print(printed)
