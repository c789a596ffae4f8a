"""Small random changes of valid bytes, texts and records, from a seed."""

from __future__ import annotations

import copy
import random
import struct
import tarfile
import zlib
from collections.abc import Sequence
from typing import Any

NUMBERS = (0, 1, -1, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
JUNK: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    0.5,
    float("nan"),
    float("inf"),
    10**400,
    "",
    "x",
    "cut \ud83d",
    "<image>",
    "../../x.jpg",
    "/dev/zero",
    "http://localhost/a.jpg",
    "data:image/png;base64,AAAA",
    "a\0b",
    "[0.1,0.2,0.3,0.4]",
    "<box_start><loc-1><loc-2>",
    "x " * 20_000,
    [],
    {},
    [None],
    [[[]]],
    {"x": None},
    {"bytes": b"x", "path": None},
    [1e308] * 4,
    b"\xff\xd8\xff",
)
PIECES = (
    "<image>",
    "<img>",
    "</s>",
    "[INST] ",
    " [/INST]\n",
    "<box_start>",
    "<box_end>",
    "<loc-3>",
    "<loc-999>",
    "<patch_index_0044>",
    "<phrase>",
    "</phrase>",
    "<object>",
    "[0.1,0.2,0.3,0.4]",
    "[0.1,",
    '{"elements": [',
    '"',
    "\\u",
    "}",
    "]",
    "\ud83d",
    "\U0001f600",
    "\0",
    "\r\n",
    "猫",
    " " * 2000,
    "9" * 500,
)


def mutate_bytes(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """One to six changes of bytes, and in half of the cases right checksums, so that what is behind them is tried."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(changed) + 1)
        size = min(rng.choice((1, 2, 4, 16, 100, 1000)), len(changed) - at)
        match rng.randrange(7):
            case 0 if changed:
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
            case 1:
                changed[at : at + size] = rng.randbytes(size)
            case 2:
                del changed[at : at + size]
            case 3:
                changed[at:at] = changed[at : at + size] * rng.randint(1, 4)
            case 4:
                number = rng.choice(NUMBERS)
                width, order = rng.choice((1, 2, 4, 8)), rng.choice(("big", "little"))
                changed[at : at + width] = (number % 256**width).to_bytes(width, order)
            case 5:
                other = rng.choice(others)
                start = rng.randrange(len(other) + 1)
                changed[at : at + size] = other[start : start + size]
            case _:
                if rng.random() < 0.2:
                    del changed[at:]
    return _with_checksums(changed) if rng.random() < 0.5 else bytes(changed)


def _with_checksums(data: bytearray) -> bytes:
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        at = 8
        while at + 12 <= len(data):
            length = struct.unpack(">I", data[at : at + 4])[0]
            end = at + 8 + length
            if end + 4 > len(data):
                break
            data[end : end + 4] = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
            at = end + 4
    elif data[257:262] == b"ustar":
        for at in range(0, len(data) - 511, 512):
            if data[at + 257 : at + 262] == b"ustar":
                checksum = tarfile.calc_chksums(bytes(data[at : at + 512]))[0]  # type: ignore[attr-defined]
                data[at + 148 : at + 156] = b"%06o\0 " % checksum
    return bytes(data)


def mutate_text(rng: random.Random, text: str) -> str:
    """Changes of a text: pieces that mean something to a parser, repeated, cut or in the wrong place."""
    for _ in range(rng.randint(1, 6)):
        at, end = sorted((rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)))
        match rng.randrange(5):
            case 0:
                text = text[:at] + rng.choice(PIECES) + text[at:]
            case 1:
                text = text[:at] + text[end:]
            case 2:
                text = text[:at] + text[at:end] * rng.randint(2, 5) + text[end:]
            case 3:
                text = text[:at] + chr(rng.choice((0, 10, 34, 92, 127, 160, 0xD800, 0xFFFD, 0x1F600))) + text[at + 1 :]
            case _:
                text = text[:at] + rng.choice(PIECES) * rng.choice((1, 1, 30)) + text[end:]
    return text[:200_000]


def mutate_record(rng: random.Random, fields: dict[str, Any]) -> dict[str, Any]:
    """Junk in one to three places of nested tables and lists, at any depth, or without them."""
    fields = copy.deepcopy(fields)
    for _ in range(rng.randint(1, 3)):
        inner: Any = fields
        while True:
            keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
            if not keys:
                break
            key = rng.choice(keys)
            value = inner[key]
            if isinstance(value, (dict, list)) and value and rng.random() < 0.8:
                inner = value
                continue
            if rng.random() < 0.1:
                del inner[key]
            elif isinstance(value, str) and rng.random() < 0.5:
                inner[key] = mutate_text(rng, value)
            else:
                inner[key] = copy.deepcopy(rng.choice(JUNK))
            break
    return fields
