"""Tar shards in WebDataset's layout: members that follow each other and share a key are one sample.

The key is a member's path up to the first dot of its file name, the rest its field: `a/000123.jpg` and
`a/000123.json` are one sample of fields "jpg" and "json" (https://github.com/webdataset/webdataset, "The WebDataset
Format"). A name without that shape (no dot, or a leading one as in macOS's "._" files) and folders named `__...__`
hold no sample, there as here.

Python's `tarfile` stops without a word at a damaged header, and keeps every header that it has read. So the headers
are walked here, each parsed by `tarfile.TarInfo`. Nothing is kept, and the offset of a sample's first header is a
position to go on from.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

from seedx.data import storage
from seedx.data.faults import Fault
from seedx.data.record import Record

BLOCK = tarfile.BLOCKSIZE
TAIL = 1 << 20  # bytes after the end mark, at most: tar pads with zeros to 10 KiB unless told otherwise

_NAME = re.compile(r"((?:.*/|)[^./][^./]*)\.([^/]*)")
_SPECIAL = re.compile(r"__[^/]*__(/|$)")
_PAX = re.compile(rb"\d+ (path|size)=([^\n]*)\n")


class Member(NamedTuple):
    start: int  # of the first header that belongs to it
    name: str
    data: int  # offset of its content
    size: int


class Torn(Exception):
    """The shard ends, or makes no sense, before its end mark."""


@dataclass(frozen=True)
class TarShard:
    """Every `parts`-th sample of a shard, from number `part` on; a position is (offset, number) of the next sample.

    Parts read all headers and seek past what is not theirs: nothing has to be known of the shard beforehand. For a
    remote shard that is as good as reading all of it, so give as many shards as there are streams.
    """

    name: str
    path: str
    part: int = 0
    parts: int = 1

    def read(self, position: Any = None) -> Iterator[tuple[Any, Record | Fault]]:
        """The samples, with the position after each. A torn shard ends with one fault, and its last sample is in it."""
        offset, number = position or (0, 0)
        with storage.open_file(self.path) as file:
            samples = _samples(file, offset)
            while True:
                mine = number % self.parts == self.part
                try:
                    sample = next(samples, None)
                    found = self._record(file, sample) if sample and mine else None
                except Torn as error:
                    # The parts of a shard all come to the tear; the one whose sample it hit reports it.
                    if mine:
                        yield [storage.size(self.path), number + 1], Fault("torn tar", self.path, str(error))
                    return
                if sample is None:
                    return
                number += 1
                if found:
                    yield [sample.after, number], found

    def _record(self, file: BinaryIO, sample: Sample) -> Record | Fault:
        where = f"{self.path}/{sample.key}"
        fields: dict[str, Any] = {}
        fault = None
        for extension, member in sample.members:
            file.seek(member.data)
            content = file.read(member.size)
            if len(content) < member.size:
                raise Torn(f"it ends in {member.name}")
            try:
                if extension in fields:
                    raise Fault("bad format", where, f"two members are named {member.name}")
                fields[extension] = _decode(content, extension, where)
            except Fault as error:
                fault = error
        return fault or Record(where, fields)


class Sample(NamedTuple):
    key: str
    members: list[tuple[str, Member]]  # with their extensions
    after: int  # offset of the header that follows


def _samples(file: BinaryIO, offset: int) -> Iterator[Sample]:
    """The groups of members from `offset` on. Torn is raised before the group that the tear may have cut short."""
    key, group = "", []
    for member in _members(file, offset):
        found = _NAME.fullmatch(member.name)
        if not found or _SPECIAL.match(member.name):
            continue
        if found[1] != key and group:
            yield Sample(key, group, member.start)
            group = []
        key = found[1]
        group.append((found[2].lower(), member))
    if group:
        yield Sample(key, group, file.seek(0, io.SEEK_END))


def _members(file: BinaryIO, offset: int) -> Iterator[Member]:
    """The files from the header at `offset` to the end mark. Links and folders are passed over."""
    start, name, size = offset, None, None
    while header := _header(file, offset):
        data = offset + BLOCK
        size = header.size if size is None else size
        offset = data + -(-size // BLOCK) * BLOCK
        if header.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):
            content = file.read(size)
            if header.type == tarfile.GNUTYPE_LONGNAME:
                name, size = content.rstrip(b"\0").decode(errors="replace"), None
            else:
                pax = dict(_PAX.findall(content))
                name = pax[b"path"].decode(errors="replace") if b"path" in pax else name
                size = int(pax[b"size"]) if b"size" in pax else None
            continue
        if header.isreg():
            yield Member(start, name or header.name, data, size)
        start, name, size = offset, None, None


def _header(file: BinaryIO, offset: int) -> tarfile.TarInfo | None:
    """The header at `offset`; None at the end mark."""
    file.seek(offset)
    block = file.read(BLOCK)
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
        if file.seek(0, io.SEEK_END) - offset > TAIL:
            raise Torn(f"only zeros at byte {offset}, where more should follow") from None
        return None
    except tarfile.HeaderError as error:
        raise Torn(f"no end mark at byte {offset}: {error}") from error


def _decode(content: bytes, extension: str, where: str) -> Any:
    """By the last part of the extension: JSON is parsed, text decoded, all else left as it is."""
    kind = extension.rpartition(".")[2]
    try:
        return json.loads(content) if kind == "json" else content.decode() if kind == "txt" else content
    except (ValueError, RecursionError) as error:
        raise Fault("broken json" if kind == "json" else "broken text", where, str(error)) from error


def split(path: str, parts: int) -> list[TarShard]:
    """As many units as asked for: how many samples there are is not known before they are read."""
    return [TarShard(f"{path}[{part}/{parts}]", path, part, parts) for part in range(parts)]
