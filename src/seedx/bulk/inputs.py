"""INPUT of `seedx batch` -> units, which are read alone and in order, here or on any machine of a cluster.

    photos/                     every picture in a folder and those below it, by name
    photos/2024-*.jpg           a glob
    asks.jsonl, shards/*.tar    records: JSONL, a JSON array, Parquet, tar (`seedx.data.sources`)
    s3://bucket/photos/*.jpg    the same in an object store, by fsspec; a remote folder ends with "/"

Names may be listed, pictures never are: an input holds a path, or the bytes that its record had. Each has a source that
is its own and the same in every run, "a/b.jpg" or "asks.jsonl@120" (the record at byte 120): what was answered is known
by it. Ids are the user's and may repeat.
"""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from seedx.bulk.tasks import PICTURE_ENDINGS, Columns, Task
from seedx.data import storage
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError
from seedx.data.sources import Unit, open_source
from seedx.errors import SeedxError

RECORD_ENDINGS = ("jsonl", "json", "parquet", "tar")
CHUNK = 256  # pictures of a folder that are a unit


@dataclass(frozen=True)
class Input:
    """One input.

    Attributes:
        source: where it comes from; its own in all inputs.
        image: bytes, a path or URL, a data: URI, a list of these, or None.
        text: None without one.
        seed: None without one.
        error: why it can't be read; empty if it can.
    """

    source: str
    id: str
    image: Any = None
    text: str | None = None
    seed: int | None = None
    error: str = ""


@dataclass(frozen=True)
class Pictures:
    """Pictures of a folder or a glob: full paths or URLs, named from `base` on."""

    base: str
    paths: tuple[str, ...]

    def read(self) -> Iterator[Input]:
        for path in self.paths:
            name = _below(path, self.base)
            yield Input(name, name, path)


@dataclass(frozen=True)
class Records:
    """The records of a file."""

    base: str
    unit: Unit
    task: Task
    columns: Columns

    def read(self) -> Iterator[Input]:
        """
        Raises:
            OSError: the file is gone or its store does not answer.
        """
        name = _below(self.unit.name, self.base)
        before: Any = 0
        for after, item in self.unit.read():
            source = f"{name}@{before[0] if isinstance(before, list) else before}"
            before = after
            try:
                if isinstance(item, SampleError):
                    raise item
                yield self._input(item, source)
            except SampleError as error:
                where = _below(error.where, self.base) or source
                yield Input(source, where, error=f"{error.cause}: {error.detail}" if error.detail else error.cause)

    def _input(self, record: Record, source: str) -> Input:
        fields = record.fields
        where = _below(record.where, self.base)
        given = fields.get(self.columns.id_column)
        known = where if given is None or str(given).strip() == "" else str(given)
        text = _first(fields, self.columns.text(self.task))
        if text is not None and not isinstance(text, str):
            return Input(source, known, error=f"the text is {type(text).__name__}, not a string")
        image = None if self.task.picture == "ignored" else _first(fields, self.columns.image)
        try:
            pictures = [record.image(each) for each in image] if isinstance(image, list) else _image(record, image)
        except SampleError as error:
            return Input(source, known, error=f"{error.cause}: {error.detail}")
        seed = fields.get("seed")
        usable = isinstance(seed, int) and not isinstance(seed, bool)
        return Input(source, known, pictures, text, seed if usable else None)


Reader = Pictures | Records


@dataclass(frozen=True)
class Inputs:
    """All inputs.

    Attributes:
        source: INPUT, with a full path where it is local.
        files: the source of records, whose files must stay as they are; None for pictures.
        leave_out: a folder that is not read: the output.
    """

    source: str
    base: str
    files: str | None
    task: Task
    columns: Columns
    leave_out: str = ""

    def units(self) -> Iterator[Reader]:
        """
        Raises:
            SeedxError: there is nothing there, or of a kind that is not read.
        """
        if self.files is None:
            paths = self._paths()
            while chunk := tuple(itertools.islice(paths, CHUNK)):
                yield Pictures(self.base, chunk)
        else:
            for unit in open_source(self.files):
                yield Records(self.base, unit, self.task, self.columns)

    def read(self) -> Iterator[Input]:
        for unit in self.units():
            yield from unit.read()

    def count(self) -> int | None:
        """How many there are, where that is known without reading them all: pictures, and rows of Parquet."""
        if self.files is None:
            return None if storage.remote(self.source) else sum(1 for _ in self._paths())
        paths = storage.expand(self.files)
        counters = [_COUNTERS.get(path.rpartition(".")[2].lower()) for path in paths]
        if any(storage.remote(path) for path in paths) or None in counters:
            return None
        return sum(count(path) for count, path in zip(counters, paths, strict=True) if count is not None)

    def _paths(self) -> Iterator[str]:
        if not storage.remote(self.source) and os.path.isdir(self.source):
            return walk(self.source, self.leave_out)
        if self.source.endswith("/"):
            return (path for path in storage.expand(f"{self.source}**") if _ending(path) in PICTURE_ENDINGS)
        return (path for path in storage.expand(self.source) if _ending(path) in PICTURE_ENDINGS)


def inputs(source: str, task: Task, columns: Columns, output: str = "") -> Inputs:
    """
    Args:
        output: the folder of the results; what lies there is no input.

    Raises:
        SeedxError: there is no such input, or of a kind that is not read.
    """
    if not storage.remote(source):
        source = os.path.abspath(source)
        if not glob.has_magic(source) and "{" not in source and not os.path.exists(source):
            raise SeedxError(f"there is no {source}: give a folder, a file, a glob in quotes, or a URL")
        if os.path.isdir(source):
            base = source.rstrip("/") + "/"
            if next(walk(source, output), None) is None:
                raise SeedxError(
                    f"no picture is in the folder {source}: of other files give the names, as in '{base}*.tar'"
                )
            return Inputs(source, base, None, task, columns, output)
    base = re.split(r"[*?\[{]", source, maxsplit=1)[0].rpartition("/")[0] + "/"
    pictures = source.endswith("/") or _ending(source) in PICTURE_ENDINGS
    if not pictures and _ending(source) not in RECORD_ENDINGS:  # photos/*
        pictures = any(_ending(path) in PICTURE_ENDINGS for path in storage.expand(source))
    if pictures and task.picture == "ignored":
        raise SeedxError(
            f"this task reads texts, not pictures: give JSONL, Parquet or tar with a column {task.text[0]}"
        )
    return Inputs(source, base, None if pictures else source, task, columns, output)


def walk(folder: str, leave_out: str = "") -> Iterator[str]:
    """The pictures in a folder and those below it, in the order of names; hidden files and linked folders are not
    read."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            if not leave_out or os.path.realpath(entry.path) != os.path.realpath(leave_out):
                yield from walk(entry.path, leave_out)
        elif _ending(entry.name) in PICTURE_ENDINGS:
            yield entry.path


def _below(path: str, base: str) -> str:
    """A path or URL as seen from `base`. Some stores give names back with more slashes: memory:///photos/a.png."""
    path, base = (re.sub(":///+", "://", each) if storage.remote(each) else each for each in (path, base))
    return printable(path.removeprefix(base))


def printable(name: str) -> str:
    """A name as text: bytes that are no UTF-8 with backslashes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _image(record: Record, value: Any) -> bytes | str | None:
    return None if value is None else record.image(value)


def _first(fields: dict[str, Any], names: Sequence[str]) -> Any:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _ending(path: str) -> str:
    return os.path.basename(path).rpartition(".")[2].lower()


def _lines(path: str) -> int:
    with storage.open_file(path) as file:
        return sum(1 for line in file if not line.isspace())


def _parquet_rows(path: str) -> int:
    import pyarrow.parquet

    return int(pyarrow.parquet.read_metadata(path).num_rows)


_COUNTERS: dict[str, Callable[[str], int]] = {"jsonl": _lines, "parquet": _parquet_rows}
