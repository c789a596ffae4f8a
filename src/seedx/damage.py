"""What a file of weights, settings or a tokenizer looks like when it is not what it should be.

Half-done downloads are the most common mishap: Git LFS leaves a text of about 130 bytes in the place of a large file,
and an interrupted transfer leaves the beginning of one. Nothing is read here but the ends of a file.
"""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path
from typing import Any

from seedx.errors import SeedxError

_LFS = b"version https://git-lfs"
_PAGE = (b"<!doctype html", b"<html")
_HEADER_LIMIT = 100_000_000  # bytes, the limit of safetensors itself
AGAIN = "the download is not complete: fetch the file again"


def damage(file: Path) -> str | None:
    """What is wrong with a file that is there, as the end of a sentence; None if nothing can be seen from outside."""
    size = file.stat().st_size
    if size == 0:
        return f"is empty: {AGAIN}"
    with file.open("rb") as opened:
        start = opened.read(512)
    if start.startswith(_LFS):
        return "is a Git LFS pointer, not the file itself: the download is not complete: run `git lfs pull` there"
    if start.lstrip().lower().startswith(_PAGE):
        return "is a web page, not the file: log in where it comes from, and fetch it again"
    if file.suffix == ".safetensors":
        return _safetensors(file, size)
    if file.suffix in (".bin", ".pt", ".pth"):
        return _pickled(file, start)
    return None


def check_file(file: Path) -> None:
    """
    Raises:
        SeedxError: the file is not there, or `damage` finds something.
    """
    if not file.is_file():
        raise SeedxError(f"{file} is not there; save, convert or download it again")
    if found := damage(file):
        raise SeedxError(f"{file} {found}")


def read_json_object(file: Path) -> dict[str, Any]:
    """An object from a JSON file.

    Raises:
        SeedxError: the file is missing, damaged, no JSON, or JSON of something other than an object.
    """
    check_file(file)
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SeedxError(f"{file} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise SeedxError(f"{file} must hold a JSON object, {{...}}, not {_short(values)}")
    return values


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _safetensors(file: Path, size: int) -> str | None:
    """The header's length, the header, and as many bytes of tensors as it announces."""
    with file.open("rb") as opened:
        start = opened.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= _HEADER_LIMIT:
            return "is not in the format safetensors: its header has no sensible length"
        header = opened.read(length)
    if len(header) < length:
        return f"is truncated within its header, at {size:,} bytes: {AGAIN}"
    try:
        tensors = json.loads(header)
        ends = [entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"]
        expected = 8 + length + max(ends, default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return "is not in the format safetensors: its header can't be read"
    return f"is truncated: {size:,} of {expected:,} bytes: {AGAIN}" if size < expected else None


def _pickled(file: Path, start: bytes) -> str | None:
    """torch writes a zip archive, whose table is at its end; before 1.6 it wrote a pickle."""
    if not start.startswith(b"PK"):
        return None if start.startswith(b"\x80") else "is no file of torch weights"
    try:
        with zipfile.ZipFile(file) as archive:
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return f"is truncated: the table at the end of its {file.stat().st_size:,} bytes is missing: {AGAIN}"
    return "is compressed, as torch writes no weights: it could unpack to any size" if packed else None
