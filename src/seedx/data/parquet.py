"""Parquet with pictures inside, as Hugging Face's datasets write it: a picture is a column of {"bytes", "path"}.

A position is the number of the next row. The footer tells which row group holds it, so resuming costs what lies before
it in that group alone. Needs the extra `seedx[data]` (pyarrow).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from seedx.data import storage
from seedx.data.record import MAX_BYTES, Record
from seedx.data.sample_errors import SampleError
from seedx.errors import MissingPackageError, SeedxError

ROWS = 16  # read at once: a few pictures
MAX_RATIO = 1000  # of a row group's unpacked to its packed size, where that is more than a record may have
BUFFER = 1 << 20  # bytes of each column held while it is read
FOOTERS = 128  # files whose metadata is kept
END = -1  # the position after which nothing follows


@dataclass(frozen=True)
class ParquetRows:
    """Rows `start` to `end` of a file; a position is the number of the next row.

    Attributes:
        end: None is the end of the file.
    """

    name: str
    path: str
    start: int = 0
    end: int | None = None

    def read(self, position: Any = None) -> Iterator[tuple[Any, Record | SampleError]]:
        """The rows, with the position after each. A broken file ends with one sample error."""
        row = self.start if position is None else position
        if row == END:
            return
        folder, arrow = storage.folder(self.path), _arrow()
        try:
            for fields in self._rows(row):
                where = f"{self.path}:{row}"
                row += 1
                if isinstance(fields, SampleError):
                    yield row, SampleError(fields.cause, where, fields.detail)
                else:
                    yield row, Record(where, fields, folder)
        except MissingPackageError:
            raise
        except (
            arrow.ArrowException,
            OSError,
            ValueError,
            LookupError,
            TypeError,
            ArithmeticError,
        ) as error:  # with pages of 2 GB
            if _unreachable(error):
                raise
            yield END, SampleError("broken parquet", f"{self.path}:{row}", str(error))

    def _rows(self, row: int) -> Iterator[dict[str, Any] | SampleError]:
        footer, borders = _footer(self.path, storage.size(self.path))
        with storage.open_file(self.path) as file:
            # Without a bounded buffer pyarrow reads a whole row group, which may be gigabytes of pictures.
            parquet = _arrow().parquet.ParquetFile(file, metadata=footer, buffer_size=BUFFER, pre_buffer=False)
            end = borders[-1] if self.end is None else self.end
            for group, (first, last) in enumerate(itertools.pairwise(borders)):
                if first < end and last > row:
                    rows = _rows_at_once(footer.row_group(group))
                    batches = parquet.iter_batches(rows, row_groups=[group], use_threads=False)
                    yield from _rows_of(batches, max(0, row - first), min(last, end) - first)


def _rows_at_once(group: Any) -> int:
    """Rows to read together so that a small file can't take all memory.

    Each row may repeat the largest value of a column that stores its values once, in a dictionary.

    Raises:
        ValueError: the group unpacks to so many times its size that it is an attack.
    """
    columns = [group.column(i) for i in range(group.num_columns)]
    packed = sum(max(0, column.total_compressed_size) for column in columns)
    unpacked = sum(max(0, column.total_uncompressed_size) for column in columns)
    if unpacked > MAX_BYTES and unpacked > MAX_RATIO * packed:
        raise ValueError(f"{packed} bytes unpack to {unpacked}")
    repeated: int = sum(max(0, c.total_uncompressed_size) for c in columns if "RLE_DICTIONARY" in str(c.encodings))
    return max(1, min(ROWS, MAX_BYTES // max(1, repeated)))


def _rows_of(batches: Any, start: int, end: int) -> Iterator[dict[str, Any] | SampleError]:
    """Rows `start` to `end` of the batches; those before become no Python objects."""
    first = 0
    for batch in batches:
        if first >= end:
            return
        if first + len(batch) > start:
            skip = max(0, start - first)
            yield from _python(batch.slice(skip, end - first - skip))
        first += len(batch)


def _python(batch: Any) -> Iterator[dict[str, Any] | SampleError]:
    """The rows as Python's objects. One that has no such form (a date of the year 300,000) is an error of its own."""
    for i in range(len(batch)):
        row = batch.slice(i, 1)
        if row.get_total_buffer_size() > MAX_BYTES and row.nbytes > MAX_BYTES:
            yield SampleError("too large", "", f"a row has at most {MAX_BYTES >> 20} MiB, not {row.nbytes >> 20}")
            continue
        try:
            (fields,) = row.to_pylist()
        except (ValueError, OverflowError, LookupError, TypeError) as error:
            fields = SampleError("broken row", "", str(error))
        yield fields


def split(path: str, parts: int) -> list[ParquetRows]:
    """At most `parts` units, of whole row groups where there are as many of them.

    Raises:
        SeedxError: the file is not Parquet.
    """
    arrow = _arrow()
    try:
        _, borders = _footer(path, storage.size(path))
    except (arrow.ArrowException, OSError, ValueError, OverflowError) as error:
        if _unreachable(error) or isinstance(error, MemoryError):
            raise
        raise SeedxError(f"{path} can't be read as Parquet ({error}): download it again or leave it out") from error
    groups, rows = len(borders) - 1, borders[-1]
    if groups >= parts:
        starts = {borders[part * groups // parts] for part in range(parts)}
    else:
        starts = {part * rows // parts for part in range(parts)}
    return [ParquetRows(f"{path}[{a}]", path, a, b) for a, b in itertools.pairwise([*sorted(starts), rows])]


@functools.lru_cache(FOOTERS)
def _footer(path: str, size: int) -> tuple[Any, list[int]]:
    """The metadata of a file, read once for all its parts, and the number of the first row of each group, and of rows.

    Size: of the file, which tells one that was replaced.
    """
    with storage.open_file(path) as file:
        footer = _arrow().parquet.read_metadata(file)
    rows = (footer.row_group(group).num_rows for group in range(footer.num_row_groups))
    return footer, [0, *itertools.accumulate(rows)]


def _unreachable(error: Exception) -> bool:
    """The system's errors have a number; what pyarrow finds wrong inside a file has none, even if it is an OSError."""
    return bool(getattr(error, "errno", None))


def _arrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingPackageError('reading Parquet needs pyarrow: pip install "seedx[data]"') from error
    return pyarrow
