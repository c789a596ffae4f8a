"""Parts that models share, stored once: hard links between model folders that were converted next to each other.

converted.json in a folder says of each part which files it was made from. A folder beside it whose part was made from
the same files, unchanged since, in the same precision, gives its own: as a hard link where the disk has them, else as a
copy. Nothing changes such a file in place: saving a model writes new ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from seedx.checkpoint import weights
from seedx.damage import read_json_object
from seedx.errors import SeedxError

RECORD = "converted.json"

Origin = dict[str, Any]


def origin(name: str, files: Iterable[Path], dtype: torch.dtype | None) -> Origin:
    """What a part is made from: its name in the release, the files as they are now, and the precision stored."""
    stats = [(file.name, file.stat()) for file in files]
    return {
        "part": name,
        "files": [[name, stat.st_size, stat.st_mtime_ns, stat.st_dev, stat.st_ino] for name, stat in stats],
        "dtype": str(dtype).removeprefix("torch."),
    }


def write_record(folder: Path, variant: str | None, parts: dict[str, Origin]) -> None:
    record = {"variant": variant, "parts": parts}
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def take(part: str, made_from: Origin, folder: Path, target: Path) -> int:
    """Link or copy a part from a model beside `target` into `folder`.

    Returns:
        the bytes that it has; 0 if no model there has it.
    """
    for other, name in _with_origin(target, made_from):
        with contextlib.suppress(SeedxError):  # it has lost a shard since: another one, or a new conversion
            files = weights.find(other, name)
            for file in files:
                _link(file, folder / _renamed(file.name, name, part))
            index = other / f"{name}.safetensors.index.json"
            if files and index.is_file():
                _write_index(index, folder, name, part)
            if files:
                return sum(file.stat().st_size for file in files)
    return 0


def _with_origin(target: Path, made_from: Origin) -> Iterator[tuple[Path, str]]:
    """The models beside `target`, or at it, that have a part of this origin, and the part's name there."""
    for record in sorted(target.parent.glob(f"*/{RECORD}")):
        with contextlib.suppress(SeedxError):  # a record that can't be read is of no use, and does no harm
            parts = read_json_object(record).get("parts")
            for name, each in parts.items() if isinstance(parts, dict) else ():
                if each == made_from:
                    yield record.parent, name


def _renamed(file: str, old: str, new: str) -> str:
    return new + file.removeprefix(old)


def _write_index(index: Path, folder: Path, old: str, new: str) -> None:
    values = read_json_object(index)
    values["weight_map"] = {key: _renamed(file, old, new) for key, file in values["weight_map"].items()}
    (folder / _renamed(index.name, old, new)).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _link(file: Path, target: Path) -> None:
    try:
        os.link(file.resolve(), target)
    except OSError:  # another disk, or one without hard links
        shutil.copy2(file, target)
