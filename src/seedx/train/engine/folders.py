"""The folders of a run's checkpoints on the disk: written aside, renamed when whole, verified, and in time removed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

MANIFEST, REST = "manifest.json", "rest.pt"
PART, BROKEN = ".part", ".broken"
CHUNK = 1 << 22


def path(folder: Path, step: int) -> Path:
    return folder / f"step-{step:08d}"


def aside(folder: Path, step: int) -> Path:
    return folder / f"step-{step:08d}{PART}"


def steps(folder: Path) -> list[int]:
    """The steps that are saved, the newest last."""
    names = (entry.name for entry in folder.iterdir()) if folder.is_dir() else ()
    return sorted(int(found[1]) for name in names if (found := re.fullmatch(r"step-(\d+)", name)))


def tidy(folder: Path) -> None:
    """Make the folder if there is none, and remove what a killed save or removal left in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"*{PART}"):
        shutil.rmtree(left, ignore_errors=True)


def begin(aside: Path, rest: bytes) -> None:
    aside.mkdir(parents=True)
    _write(aside / REST, rest)


def checksums(aside: Path, rank: int) -> dict[str, dict[str, Any]]:
    """Size and checksum of the files that this rank wrote, read back; the first rank wrote the common ones, too."""
    files = [file for file in aside.iterdir() if file.name.startswith(f"__{rank}_")]
    if rank == 0:
        files += [file for file in aside.iterdir() if not file.name.startswith("__")]
    return {file.name: _measure(file) for file in files}


def finish(aside: Path, step: int, score: float | None, files: dict[str, dict[str, Any]]) -> None:
    """Write the manifest and give the checkpoint its name."""
    manifest = {"step": step, "score": score, "files": files}
    _write(aside / MANIFEST, json.dumps(manifest, indent=1).encode())
    _sync_folder(aside)
    aside.rename(path(aside.parent, step))
    _sync_folder(aside.parent)


def prune(folder: Path, keep: int) -> None:
    """Remove all but the last `keep` checkpoints and the one of the best score."""
    saved = steps(folder)
    scores = {step: _manifest(path(folder, step)).get("score") for step in saved}
    scored = {step: score for step, score in scores.items() if score is not None}
    best = max(scored, key=lambda step: (scored[step], step), default=None)
    for step in saved[:-keep]:
        if step != best:
            path(folder, step).rename(aside(folder, step))  # a removal cut short must not look like a checkpoint
    tidy(folder)


def problem(path: Path, part: int = 0, parts: int = 1) -> str | None:
    """What is wrong with a checkpoint, None if nothing is. Of its files every `parts`-th is read, from `part` on."""
    files = _manifest(path).get("files")
    if not files:
        return f"it has no {MANIFEST}"
    for name in sorted(files)[part::parts]:
        if not (path / name).is_file():
            return f"{name} is missing"
        if _measure(path / name) != files[name]:
            return f"{name} is not what was written"
    return None


def put_aside(path: Path) -> None:
    """Keep a broken checkpoint under another name."""
    away = path.with_name(path.name + BROKEN)
    shutil.rmtree(away, ignore_errors=True)
    path.rename(away)


def _manifest(path: Path) -> dict[str, Any]:
    try:
        return json.loads((path / MANIFEST).read_text())
    except (OSError, ValueError):
        return {}


def _measure(file: Path) -> dict[str, Any]:
    digest, size = hashlib.blake2b(digest_size=16), 0
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return {"bytes": size, "blake2b": digest.hexdigest()}


def _write(file: Path, data: bytes) -> None:
    with file.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """A rename lasts once the folder that holds the names is on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
