"""Files here or in an object store, by one set of functions: a path with "://" is fsspec's, any other is local."""

from __future__ import annotations

import errno
import glob
import io
import itertools
import os
import re
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, BinaryIO

from seedx.errors import MissingPackageError, SeedxError, shorten

TRIES = 4  # of a remote read, waiting 1, 2 and 4 seconds between them
MOST_FILES = 1_000_000  # of one source
BUFFER = 1 << 20  # bytes asked for at once from a remote file

_BRACES = re.compile(r"\{([^{}]*(?:,|\.\.)[^{}]*)\}")
_COUNT = re.compile(r"(\d{1,18})\.\.(\d{1,18})")


def remote(path: str) -> bool:
    return "://" in path


def join(folder: str, name: str) -> str:
    """`name` as seen from `folder`; a full path or URL stays what it is."""
    if remote(name) or not folder:
        return name
    return f"{folder.rstrip('/')}/{name}" if remote(folder) else os.path.join(folder, name)


def folder(path: str) -> str:
    path = path.removeprefix("file://")  # of what lies there, links can be resolved
    return path.rpartition("/")[0] if remote(path) else os.path.dirname(path)


def inside(path: str, root: str) -> bool:
    """Whether a path or URL lies in a folder or under a URL, once its links and every ".." are resolved.

    Raises:
        ValueError: a path that the system can't have, such as one with a zero byte.
    """
    if not remote(path):
        real, base = os.path.realpath(path), os.path.realpath(root)
        return not remote(root) and real.startswith(base.rstrip(os.sep) + os.sep)
    if not remote(root) or "::" in path:  # a chain of URLs may lead anywhere
        return False
    steps = urllib.parse.unquote(path).replace("\\", "/").split("/")
    return ".." not in steps and path.startswith(root.rstrip("/") + "/")


def size(path: str) -> int:
    """Bytes. FileNotFoundError if there is no such file."""
    if remote(path):
        files, inner = _filesystem(path)
        return int(files.size(inner))
    return os.path.getsize(path)


def open_file(path: str) -> BinaryIO:
    """For reading and seeking. A remote read that fails is retried from where it stopped.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: a remote file could not be read in `TRIES` tries.
        MissingPackageError: a remote file, and fsspec or what it needs for this scheme is not installed.
    """
    if not remote(path):
        return open(path, "rb")
    files, inner = _filesystem(path)
    # What fsspec keeps in memory of an open file is bounded by its block size: one is enough for reading in order.
    opened = _Retried(path, lambda: files.open(inner, "rb", block_size=BUFFER, cache_type="readahead"))
    return io.BufferedReader(opened, BUFFER)


class _Retried(io.RawIOBase):
    """A remote file that is reopened at its position when reading fails.

    Some of fsspec's stores retry by themselves (S3, Google), others do not (HTTP), and none survives a connection
    that is lost in the middle of a long read.
    """

    def __init__(self, path: str, reopen: Callable[[], IO[bytes]]) -> None:
        self._path, self._reopen = path, reopen
        self._file: IO[bytes] | None = None
        self._at = 0
        self._file = self._try(reopen)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at}.get(whence)
        self._at = offset + (self._size() if start is None else start)
        return self._at

    def readinto(self, buffer: Any) -> int:
        content = self._try(lambda: self._read(len(buffer)))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        super().close()

    def _read(self, count: int) -> bytes:
        if self._file is None:
            self._file = self._reopen()
        self._file.seek(self._at)
        return self._file.read(count)

    def _size(self) -> int:
        return size(self._path)

    def _try(self, action: Callable[[], Any]) -> Any:
        for left in reversed(range(TRIES)):
            try:
                return action()
            except (FileNotFoundError, PermissionError, MissingPackageError):
                raise  # waiting will not help
            except Exception as error:  # each store has errors of its own, and not all of them are OSErrors
                self._file = None
                if not left:
                    message = f"{self._path} can't be read, tried {TRIES} times: {error}"
                    raise OSError(errno.EIO, message) from error
                time.sleep(2 ** (TRIES - 1 - left))


def expand(source: str) -> list[str]:
    """The paths that a source stands for: brace lists in their order, each of them a glob in order of names.

    `"a/{000..127}.tar"`, `"{train,extra}/*.jsonl"`, `"s3://bucket/{0..9}/*.tar"`.

    Raises:
        SeedxError: a brace list that is not one, or no file of that name; local files must be there, remote ones are
            looked for when they are read.
    """
    patterns = list(itertools.islice(_braces(source), MOST_FILES + 1))
    if len(patterns) > MOST_FILES:
        raise SeedxError(f"the source {shorten(source)} names over {MOST_FILES:,} files: check its braces")
    paths = list(dict.fromkeys(path for pattern in patterns for path in _glob(pattern)))
    missing = [path for path in paths if not remote(path) and not os.path.exists(path)]
    if missing or not paths:
        what = f"{shorten(missing[0])} does not exist" if missing else "no file has such a name"
        more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise SeedxError(f"the source {shorten(source)}: {what}{more}. Check the path (seen from {os.getcwd()})")
    return paths


def _braces(source: str) -> Iterator[str]:
    found = _BRACES.search(source)
    if not found:
        yield source
        return
    before, inner, after = source[: found.start()], found[1], source[found.end() :]
    count = _COUNT.fullmatch(inner)
    if count:
        first, last = int(count[1]), int(count[2])
        if first > last:
            raise SeedxError(f"the source {source!r} counts down in {found[0]}: write the smaller number first")
        width = max(map(len, count.groups())) if "0" in (count[1][0], count[2][0]) else 0
        choices: Iterable[str] = (f"{number:0{width}d}" for number in range(first, last + 1))
    elif "," in inner:
        choices = inner.split(",")
    else:
        raise SeedxError(f"the source {source!r}: {found[0]} is neither a list {{a,b}} nor numbers {{000..127}}")
    for choice in choices:
        yield from _braces(before + choice + after)


def _glob(pattern: str) -> list[str]:
    if not glob.has_magic(pattern) or (not remote(pattern) and os.path.exists(pattern)):
        return [pattern]
    if not remote(pattern):
        if pattern.startswith(("/**", "//**")):
            raise SeedxError(f"the source {pattern!r} would search the whole file system: name a folder before the **")
        found = list(itertools.islice(glob.iglob(pattern, recursive=True), MOST_FILES + 1))
        if len(found) > MOST_FILES:
            raise SeedxError(f"the source {pattern!r} matches over {MOST_FILES:,} files: name them more closely")
        return sorted(found)
    chain, colons, last = pattern.rpartition("::")  # "simplecache::s3://...": the last one has the files
    files, inner = _filesystem(last)
    return [f"{chain}{colons}{files.unstrip_protocol(path)}" for path in sorted(files.glob(inner))]


def _filesystem(path: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs

        found: tuple[Any, str] = url_to_fs(path)
    except ImportError as error:  # fsspec itself, or what it needs for this scheme
        raise MissingPackageError(
            f'{path} is remote, which needs fsspec: pip install "seedx[data]" ({error})'
        ) from error
    return found
