"""Tar shards in WebDataset's layout: members that follow each other and share a key are one sample.

The key is a member's path up to the first dot of its file name, the rest its field: `a/000123.jpg` and
`a/000123.json` are one sample of fields "jpg" and "json" (https://github.com/webdataset/webdataset, "The WebDataset
Format"). A name without that shape (no dot, or a leading one as in macOS's "._" files) and folders named `__...__`
hold no sample, there as here.

Python's `tarfile` stops silently at a damaged header, and keeps every header that it has read. So the headers
are walked here, each parsed by `tarfile.TarInfo`. Nothing is kept, and the offset of a sample's first header is a
position to resume from.
"""

from __future__ import annotations

import io
import itertools
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

from seedx.data import storage
from seedx.data.record import MAX_BYTES, MAX_JSON, Record
from seedx.data.sample_errors import SampleError

BLOCK = tarfile.BLOCKSIZE
TAIL = 1 << 20  # bytes after the end mark, at most: tar pads with zeros to 10 KiB by default
LONGEST = 1 << 20  # bytes of a header that holds a long name or pax records
WINDOW = 1 << 18  # bytes searched for a header at once
END = -1  # the position after which nothing follows

_NAME = re.compile(r"((?:.*/|)[^./][^./]*)\.([^/]*)")
_SPECIAL = re.compile(r"__[^/]*__(/|$)")
_MAGIC, _MAGIC_AT = b"ustar", 257


class Member(NamedTuple):
    start: int  # offset of the first header that belongs to it
    name: str
    data: int  # offset of its content
    size: int


class Sample(NamedTuple):
    key: str
    members: list[tuple[str, Member]]  # with their extensions
    after: int  # offset of the header that follows, or END


class Torn(Exception):
    """The shard ends, or makes no sense, before its end mark."""


@dataclass(frozen=True)
class TarShard:
    """The samples of a shard that begin in a range of bytes; a position is the offset of the next sample.

    Attributes:
        start: where a sample begins.
        end: None is the end of the shard.
    """

    name: str
    path: str
    start: int = 0
    end: int | None = None

    def read(self, position: Any = None) -> Iterator[tuple[Any, Record | SampleError]]:
        """The samples, with the position after each. A torn shard ends with one sample error."""
        offset = self.start if position is None else position
        if self._over(offset):
            return
        with storage.open_file(self.path) as file:
            try:
                for sample in _samples(file, offset):
                    yield sample.after, _record(file, sample, self.path)
                    if self._over(sample.after):
                        return  # before the next part is read: it reports a tear of its own
            except Torn as error:
                yield END, SampleError("torn tar", self.path, str(error))

    def _over(self, offset: int) -> bool:
        return offset == END or (self.end is not None and offset >= self.end)


def split(path: str, parts: int) -> list[TarShard]:
    """At most `parts` units, of about as many bytes each, that hold every sample once.

    Each begins at the first sample found after its share of the bytes, so no more than that is read.
    """
    total = storage.size(path)
    borders = [part * total // parts // BLOCK * BLOCK for part in range(1, parts + 1)]
    with storage.open_file(path) as file:
        found = [_first_sample(file, *border) for border in itertools.pairwise(borders)]
    starts = sorted({0, *(start for start in found if start is not None)})
    units = itertools.zip_longest(starts, starts[1:])
    return [TarShard(f"{path}[{start}]", path, start, end) for start, end in units]


def _first_sample(file: BinaryIO, start: int, stop: int) -> int | None:
    """Offset of a sample that begins after the first header in a range of bytes; None without one.

    The first member that is found does not count: a long name has a header of its own before the member's, which may
    lie before `start`, and without it the key is wrong. A sample begins where the key changes after that.
    """
    previous = ""
    try:
        for key, _, member in itertools.islice(_named(file, _find_header(file, start, stop)), 1, None):
            if previous and key != previous:
                return member.start
            previous = key
    except Torn:
        pass  # the unit that reads up to there reports it
    return None


def _find_header(file: BinaryIO, start: int, stop: int) -> int:
    """Offset of the first header in a range of bytes. A picture has no block with the magic and a right checksum."""
    for window in range(start, stop, WINDOW):
        file.seek(window)
        content = file.read(WINDOW)
        at = content.find(_MAGIC)
        while at >= 0:
            block = at - _MAGIC_AT
            if block >= 0 and block % BLOCK == 0 and _is_header(content[block : block + BLOCK]):
                return window + block
            at = content.find(_MAGIC, at + 1)
    raise Torn(f"no header from byte {start} to {stop}")


def _parsed(block: bytes) -> tarfile.TarInfo:
    """A header. A name that is not UTF-8 is written with backslashes: it is shown, logged and seeds random choices."""
    return tarfile.TarInfo.frombuf(block, "utf-8", "backslashreplace")


def _is_header(block: bytes) -> bool:
    try:
        _parsed(block)
    except tarfile.HeaderError:
        return False
    return True


def _record(file: BinaryIO, sample: Sample, path: str) -> Record | SampleError:
    where = f"{path}/{sample.key}"
    fields: dict[str, Any] = {}
    try:
        _check_sizes(sample, where)
        for extension, member in sample.members:
            if extension in fields:
                raise SampleError("bad format", where, f"two members are named {member.name}")
            file.seek(member.data)
            fields[extension] = _decode(file.read(member.size), extension, where)
    except SampleError as error:
        return error
    return Record(where, fields)


def _check_sizes(sample: Sample, where: str) -> None:
    texts = [member.size for extension, member in sample.members if extension.rpartition(".")[2] in ("json", "txt")]
    if sum(member.size for _, member in sample.members) > MAX_BYTES or sum(texts) > MAX_JSON:
        limits = f"{MAX_BYTES >> 20} MiB, or {MAX_JSON >> 20} MiB of JSON and text"
        raise SampleError("too large", where, f"its members are larger than {limits}")


def _decode(content: bytes, extension: str, where: str) -> Any:
    """By the last part of the extension: JSON is parsed, text decoded, all else left as it is."""
    kind = extension.rpartition(".")[2]
    try:
        return json.loads(content) if kind == "json" else content.decode() if kind == "txt" else content
    except (ValueError, RecursionError) as error:
        raise SampleError("broken json" if kind == "json" else "broken text", where, str(error)) from error


def _samples(file: BinaryIO, offset: int) -> Iterator[Sample]:
    """The groups of members from `offset` on. Torn is raised before the group that the tear may have cut short."""
    key = ""
    group: list[tuple[str, Member]] = []
    for next_key, extension, member in _named(file, offset):
        if next_key != key and group:
            yield Sample(key, group, member.start)
            group = []
        key = next_key
        group.append((extension, member))
    if group:
        yield Sample(key, group, END)


def _named(file: BinaryIO, offset: int) -> Iterator[tuple[str, str, Member]]:
    """The members that belong to samples: key, extension in small letters, member."""
    for member in _members(file, offset):
        found = _NAME.fullmatch(member.name)
        if found and not _SPECIAL.match(member.name):
            yield found[1], found[2].lower(), member


def _members(file: BinaryIO, offset: int) -> Iterator[Member]:
    """The files from the header at `offset` to the end mark. Links and folders are passed over.

    A member that the shard is too short for is given before Torn is raised, so that the sample before it is complete.
    """
    start, name, size = offset, None, None
    total = file.seek(0, io.SEEK_END)
    while header := _header(file, offset, total):
        data = offset + BLOCK
        size = header.size if size is None else size
        torn = not 0 <= size <= total - data
        long = header.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE)
        if header.isreg():
            yield Member(start, name or header.name, data, size)
        if torn or (long and size > LONGEST):
            raise Torn(f"the header at byte {offset} announces {size} bytes, and {total - data} follow")
        offset = data + -(-size // BLOCK) * BLOCK
        if long:
            file.seek(data)
            name, size = _longer(header.type, file.read(size))
            continue
        start, name, size = offset, None, None


def _header(file: BinaryIO, offset: int, total: int) -> tarfile.TarInfo | None:
    """The header at `offset`; None at the end mark."""
    file.seek(offset)
    block = file.read(BLOCK)
    try:
        return _parsed(block)
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
        if total - offset > TAIL:
            raise Torn(f"only zeros at byte {offset}, where more should follow") from None
        return None
    except tarfile.HeaderError as error:
        raise Torn(f"no end mark and no header at byte {offset}: {error}") from error


def _longer(kind: bytes, content: bytes) -> tuple[str | None, int | None]:
    """Name and size of the member that follows, where a header has no room for them: GNU's way or POSIX's (pax).

    A pax record is "LENGTH KEY=VALUE\\n", of LENGTH bytes with all that.
    """
    if kind == tarfile.GNUTYPE_LONGNAME:
        return content.rstrip(b"\0").decode(errors="backslashreplace"), None
    known = {}
    at = 0
    try:
        while at < len(content):
            length = int(content[at : at + 20].partition(b" ")[0])
            if length < 4:
                raise ValueError(f"a record of {length} bytes")
            key, _, value = content[at : at + length].partition(b" ")[2].partition(b"=")
            known[key] = value[:-1].decode(errors="backslashreplace")
            at += length
        return known.get(b"path"), int(known[b"size"]) if b"size" in known else None
    except ValueError as error:
        raise Torn(f"a broken pax header: {error}") from error
