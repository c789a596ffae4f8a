"""Where the picture of a row is: its name, and its place in a tar."""

from __future__ import annotations

import hashlib
import tarfile
import urllib.parse
from pathlib import Path

from seedx.bulk.tasks import PICTURE_ENDINGS

LONGEST = 150  # characters of a file's name


def file_stem(row_id: str) -> str:
    """A row's id as the path of a file without its ending, below any folder: what file systems, or tar's samples, do
    not take is written as %20; slashes are folders."""
    stem, dot, ending = row_id.rpartition(".")
    row_id = stem if dot and ending.lower() in PICTURE_ENDINGS else row_id
    parts = (urllib.parse.quote(part, safe=" ").replace(".", "%2E") for part in row_id.split("/"))
    kept = "/".join(_cut(part) for part in parts if part) or "picture"
    return kept if len(kept) <= 4 * LONGEST else _cut(kept.replace("/", "%2F"))


def _cut(name: str) -> str:
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - 17]}-{key_of(name):016x}"


def append(tar: Path, end: int, name: str, content: bytes) -> int:
    """Write a member at `end`; the end after it."""
    header = tarfile.TarInfo(name)
    header.size, header.mode = len(content), 0o644
    with open(tar, "r+b" if tar.exists() else "w+b") as file:
        file.seek(end)
        file.truncate()
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        file.write(content)
        file.write(bytes(-len(content) % tarfile.BLOCKSIZE))
        return file.tell()


def key_of(source: str) -> int:
    """8 bytes that stand for a text."""
    return int.from_bytes(hashlib.blake2b(source.encode("utf-8", "surrogatepass"), digest_size=8).digest())
