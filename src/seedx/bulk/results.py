"""The folder of results: each row once, whatever kills the process.

    OUT/job.json                   the command; another one is refused
    OUT/rows/part-000000.jsonl     rows, or .parquet
    OUT/pictures/part-000000/...   pictures of these rows, or part-000000.tar
    OUT/part-000001.journal        rows of the part in progress: a line a batch
    OUT/.lock                      held by the one process that writes

A batch is: its pictures, written and synced; then one line of the journal, synced. The line is what counts: a picture
without one is written again, a line that breaks off is cut. A full journal becomes a part, written aside and renamed,
and is deleted after that; a journal beside its part is a leftover. So a kill loses what was running, and no row is
there twice.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from seedx.atomic import replacing_file
from seedx.bulk.job import Form, PictureForm
from seedx.bulk.job_folder import check_job, locked
from seedx.bulk.parquet import COLUMNS, arrow, schema
from seedx.bulk.picture_names import append, file_stem, key_of

Row = dict[str, Any]

PART = 4096  # rows of a part


class Done:
    """The sources that have a row, at 8 bytes each. Two of a hundred million have the same hash with a chance of 1 in
    3,700."""

    def __init__(self, sources: Iterable[str]) -> None:
        self._keys = np.unique(np.fromiter(map(key_of, sources), dtype=np.uint64))

    def __contains__(self, source: str) -> bool:
        key = np.uint64(key_of(source))
        at = int(np.searchsorted(self._keys, key))
        return at < len(self._keys) and bool(self._keys[at] == key)

    def __len__(self) -> int:
        return len(self._keys)


@dataclass
class _Journal:
    """The part in progress.

    Attributes:
        size: bytes of whole lines.
        tar: bytes of whole members.
    """

    number: int
    rows: int = 0
    size: int = 0
    tar: int = 0


class Results:
    """
    Args:
        folder: made if it is not there.
        job: what the rows depend on; it must be that of the rows that are there.
        form: of the parts.
        pictures: files in folders, or a tar for each part.

    Raises:
        SeedxError: the folder holds something else, or another job's rows; another process writes to it.
    """

    def __init__(
        self, folder: Path, job: dict[str, Any], form: Form = "jsonl", pictures: PictureForm = "files", part: int = PART
    ) -> None:
        self.folder, self.form, self.pictures, self.part = folder, form, pictures, part
        if form == "parquet":
            arrow()
        job = {**job, "format": form, "pictures": pictures}
        check_job(folder, job)
        for needed in (folder / "rows", folder / "pictures"):
            needed.mkdir(parents=True, exist_ok=True)
        self._lock = locked(folder / ".lock")
        with replacing_file(folder / "job.json") as aside:
            aside.write_text(json.dumps(job, indent=1), encoding="utf-8")
        self._names: set[str] = set()
        self._journal = self._recovered()
        self.rows = self.errors = 0

    def __enter__(self) -> Results:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """What is there becomes a part, also after an error: people look at parts."""
        try:
            if self._journal.rows:
                self._seal()
        finally:
            os.close(self._lock)

    def sources(self) -> Iterator[str]:
        """Of all rows that are there. Counts them and their errors."""
        for file in sorted((self.folder / "rows").glob(f"part-*.{self.form}")):
            for source, error in self._read_part(file):
                self._count(error)
                yield source
        for row in self._journalled():
            self._count(row["error"])
            yield row["source"]

    def add(self, rows: Sequence[Row]) -> None:
        """One batch of rows with all `COLUMNS`; a picture is PNG bytes, and its place afterwards."""
        if not rows:
            return
        stored = [{**row, "picture": self._picture(row)} for row in rows]
        if self.pictures == "tar" and self._journal.tar:
            _sync_file(self._tar)
        line = json.dumps({"rows": stored, "tar": self._journal.tar}).encode() + b"\n"
        with open(self._path, "ab") as file:
            file.write(line)
            _flush(file)
        self._journal.size += len(line)
        self._journal.rows += len(rows)
        for row in rows:
            self._count(row["error"])
        if self._journal.rows >= self.part:
            self._seal()

    def _count(self, error: str | None) -> None:
        self.rows += 1
        self.errors += error is not None

    @property
    def _name(self) -> str:
        return f"part-{self._journal.number:06d}"

    @property
    def _path(self) -> Path:
        return self.folder / f"{self._name}.journal"

    @property
    def _tar(self) -> Path:
        return self.folder / "pictures" / f"{self._name}.tar"

    # Pictures

    def _picture(self, row: Row) -> str | None:
        content: bytes | None = row["picture"]
        if content is None:
            return None
        name = self._free_name(row["id"])
        if self.pictures == "tar":
            self._journal.tar = append(self._tar, self._journal.tar, name, content)
            return f"pictures/{self._name}.tar/{name}"
        file = self.folder / "pictures" / self._name / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "wb") as opened:
            opened.write(content)
            _flush(opened)
        return f"pictures/{self._name}/{name}"

    def _free_name(self, row_id: str) -> str:
        """A name for a row's picture that no other row of this part has, also where letters have no case."""
        stem, number = file_stem(row_id), 1
        name = f"{stem}.png"
        while name.lower() in self._names:
            number += 1
            name = f"{stem}~{number}.png"
        self._names.add(name.lower())
        return name

    # Parts and the journal

    def _recovered(self) -> _Journal:
        """The journal that a killed process left, cut to its whole lines; or a new one."""
        numbers = [int(file.stem[5:]) for file in (self.folder / "rows").glob(f"part-*.{self.form}")]
        self._journal = _Journal(max(numbers, default=-1) + 1)
        for file in sorted(self.folder.glob("part-*.journal")):
            if int(file.stem[5:]) in numbers:  # killed after its part was renamed
                file.unlink()
        path = self._path
        if not path.exists():
            self._tar.unlink(missing_ok=True)
            return self._journal
        for line in _whole_lines(path):
            self._journal.size += len(line)
            batch = json.loads(line)
            self._journal.rows += len(batch["rows"])
            self._journal.tar = batch["tar"]
            prefix = len(f"pictures/{self._name}{'.tar' if self.pictures == 'tar' else ''}/")
            self._names |= {row["picture"][prefix:].lower() for row in batch["rows"] if row["picture"]}
        os.truncate(path, self._journal.size)
        if self._tar.exists():
            os.truncate(self._tar, self._journal.tar)
        return self._journal

    def _journalled(self) -> Iterator[Row]:
        path = self._path
        if path.exists():
            for line in _whole_lines(path):
                yield from json.loads(line)["rows"]

    def _seal(self) -> None:
        """The journal becomes a part."""
        if self._tar.exists():
            with open(self._tar, "ab") as file:
                file.write(bytes(2 * tarfile.BLOCKSIZE))
                _flush(file)
        rows = [{name: row[name] for name in COLUMNS} for row in self._journalled()]
        with replacing_file(self.folder / "rows" / f"{self._name}.{self.form}") as aside:
            if self.form == "parquet":
                arrow().parquet.write_table(arrow().Table.from_pylist(rows, schema=schema()), aside)
            else:
                aside.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            _sync_file(aside)
        _sync_file(self.folder / "rows")
        self._path.unlink()
        self._journal = _Journal(self._journal.number + 1)
        self._names = set()

    def _read_part(self, file: Path) -> Iterator[tuple[str, str | None]]:
        if self.form == "jsonl":
            with open(file, encoding="utf-8") as lines:
                for row in map(json.loads, lines):
                    yield row["source"], row["error"]
        else:
            table = arrow().parquet.read_table(file, columns=["source", "error"]).to_pydict()
            yield from zip(table["source"], table["error"], strict=True)


def _whole_lines(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            yield line


def _flush(file: io.BufferedWriter | BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_file(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
