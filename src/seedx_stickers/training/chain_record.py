"""What a stage of a chain was trained from, what it made and how long it took: FOLDER/record.json.

steps, seed, machine, versions
code            digests of code and recipe that it ran on: several, if they changed while it was stopped
started_from    digests of the parts that it began with
made            digests of the parts in its folder when it was done
core_minutes    of the processor, of all the times together that it ran
"""

from __future__ import annotations

import hashlib
import json
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
from seedx.train.recipe import Recipe
from seedx.train.recipe_changes import as_json
from seedx.train.run import stage_named

CODE = ("seedx.train.run", "seedx_stickers.training.source")  # besides that of the stage
RECORD = "record.json"
NOTED_EVERY = 60.0  # seconds


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
def timed(file: Path, record: dict[str, Any]) -> Iterator[None]:
    """Keep `core_minutes` of a record, on the disk as well: a stage may be killed."""
    before, start, ended = record.get("core_minutes", 0.0), _cpu_seconds(), threading.Event()

    def note() -> None:
        record["core_minutes"] = round(before + (_cpu_seconds() - start) / 60, 2)
        write(file, record)

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


def write(file: Path, record: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_text(file, json.dumps(record, indent=1) + "\n")


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
