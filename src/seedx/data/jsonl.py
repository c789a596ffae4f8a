"""JSONL: an object a line, pictures as files beside it. A position is a byte offset, so resuming costs a seek.

A part of a file is a range of bytes whose ends lie at line breaks: `split` makes them by looking at one line each.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from seedx.data import storage
from seedx.data.record import MAX_JSON, Record
from seedx.data.sample_errors import SampleError

COUNTED = 8 << 20  # bytes: counting the lines before a part of a larger file would cost start-up time


@dataclass(frozen=True)
class JsonLines:
    """The lines of a file that begin in a range of bytes; a position is (offset, number) of the next line.

    Attributes:
        end: None is the end of the file.
        line: number of the first line, from 1; None: not known, and records are named by their offset.
    """

    name: str
    path: str
    start: int = 0
    end: int | None = None
    line: int | None = 1

    def read(self, position: Any = None) -> Iterator[tuple[Any, Record | SampleError]]:
        """Every line that is not blank, with the position after it."""
        offset, line = position or (self.start, self.line)
        folder = storage.folder(self.path)
        with storage.open_file(self.path) as file:
            file.seek(offset)
            while (self.end is None or offset < self.end) and (content := file.readline(MAX_JSON)):
                where = f"{self.path}@{offset}" if line is None else f"{self.path}:{line}"
                offset += len(content)
                line = None if line is None else line + 1
                if len(content) == MAX_JSON and not content.endswith(b"\n"):
                    offset += _skip_line(file)
                    detail = f"a line has at most {MAX_JSON >> 20} MiB: leave the pictures in files of their own"
                    yield [offset, line], SampleError("too large", where, detail)
                elif not content.isspace():
                    yield [offset, line], self.parse(content, where, folder)

    def parse(self, content: bytes, where: str, folder: str) -> Record | SampleError:
        """A line as a record."""
        try:
            fields = json.loads(content)
        except (ValueError, RecursionError) as error:
            return SampleError("broken json", where, str(error))
        if not isinstance(fields, dict):
            return SampleError("broken json", where, f"an object is expected, not {type(fields).__name__}")
        return Record(where, fields, folder)


@dataclass(frozen=True)
class TextLines(JsonLines):
    """The same for lines of plain text, such as VITON-HD's train_pairs.txt: a record has the one field "txt"."""

    def parse(self, content: bytes, where: str, folder: str) -> Record | SampleError:
        try:
            return Record(where, {"txt": content.decode("utf-8-sig").strip()}, folder)
        except UnicodeDecodeError as error:
            return SampleError("broken text", where, f"{error}: write the file as UTF-8")


def _skip_line(file: BinaryIO) -> int:
    """Read to the end of the line; the bytes that were left of it."""
    skipped = 0
    while content := file.readline(MAX_JSON):
        skipped += len(content)
        if content.endswith(b"\n"):
            break
    return skipped


def split_text(path: str, parts: int) -> list[JsonLines]:
    """As `split`, for lines of plain text."""
    return split(path, parts, TextLines)


def split(path: str, parts: int, kind: type[JsonLines] = JsonLines) -> list[JsonLines]:
    """At most `parts` units, of about as many bytes each, that hold every line once."""
    total = storage.size(path)
    with storage.open_file(path) as file:
        starts = [0]
        for part in range(1, parts):
            file.seek(max(starts[-1], part * total // parts - 1))
            _skip_line(file)
            starts.append(file.tell())
        starts = sorted({start for start in starts if start < total} | {0})
        known = _lines(file, starts) if total <= COUNTED else [1]
    units = itertools.zip_longest(starts, starts[1:], known)  # what is missing in the last two is None: not known
    return [kind(f"{path}[{start}]", path, start, end, line) for start, end, line in units]


def _lines(file: Any, starts: list[int]) -> list[int]:
    """The number of the line that begins at each offset."""
    file.seek(0)
    counts = [file.read(end - start).count(b"\n") for start, end in itertools.pairwise(starts)]
    return list(itertools.accumulate(counts, initial=1))
