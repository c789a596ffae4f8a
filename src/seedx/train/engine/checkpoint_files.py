"""The folders of a run's checkpoints on the disk: written as `.part`, renamed, verified, pruned."""

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


def part_path(folder: Path, step: int) -> Path:
    """The name of a checkpoint while it is written or removed."""
    return folder / f"step-{step:08d}{PART}"


def steps(folder: Path) -> list[int]:
    """The saved steps, ascending."""
    names = (entry.name for entry in folder.iterdir()) if folder.is_dir() else ()
    return sorted(int(found[1]) for name in names if (found := re.fullmatch(r"step-(\d+)", name)))


def tidy(folder: Path) -> None:
    """Create the folder, and remove what an interrupted save or removal left in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"*{PART}"):
        shutil.rmtree(left, ignore_errors=True)


def create(part: Path, rest: bytes) -> None:
    part.mkdir(parents=True)
    _write(part / REST, rest)


def checksums(part: Path, rank: int) -> dict[str, dict[str, Any]]:
    """Size and checksum of the files that a rank wrote, read back; the first rank wrote the common ones, too."""
    files = [file for file in part.iterdir() if file.name.startswith(f"__{rank}_")]
    if rank == 0:
        files += [file for file in part.iterdir() if not file.name.startswith("__")]
    return {file.name: _measure(file) for file in files}


def commit(part: Path, step: int, score: float | None, files: dict[str, dict[str, Any]]) -> None:
    """Write the manifest, and rename the folder to its final name."""
    manifest = {"step": step, "score": score, "files": files}
    _write(part / MANIFEST, json.dumps(manifest, indent=1).encode())
    _sync_folder(part)
    part.rename(path(part.parent, step))
    _sync_folder(part.parent)


def prune(folder: Path, keep_last: int) -> None:
    """Remove all but the last `keep_last` checkpoints and the one of the best score."""
    keep = best(folder)
    for step in steps(folder)[:-keep_last]:
        if step != keep:
            path(folder, step).rename(part_path(folder, step))  # an interrupted removal must not look like a checkpoint
    tidy(folder)


def best(folder: Path) -> int | None:
    """The saved step of the best score, the later one when equal; None if none has a score."""
    scores = {step: _manifest(path(folder, step)).get("score") for step in steps(folder)}
    scored = {step: score for step, score in scores.items() if isinstance(score, (int, float))}
    return max(scored, key=lambda step: (scored[step], step), default=None)


def problem(path: Path, part: int = 0, parts: int = 1) -> str | None:
    """The first problem of a checkpoint; None if it is intact. Verifies every `parts`-th file, from `part` on."""
    files = _manifest(path).get("files")
    if not isinstance(files, dict) or not files:
        return f"it has no {MANIFEST}"
    for name in sorted(files)[part::parts]:
        if Path(name).name != name or not (path / name).is_file():
            return f"{name} is missing"
        if _measure(path / name) != files[name]:
            return f"{name} has another size or checksum"
    return None


def mark_broken(path: Path) -> None:
    """Rename a broken checkpoint, so that it is not loaded."""
    broken = path.with_name(path.name + BROKEN)
    shutil.rmtree(broken, ignore_errors=True)
    path.rename(broken)


def any_broken(folder: Path) -> bool:
    """Whether a checkpoint was marked as broken, at this start of the run or an earlier one."""
    return any(folder.glob(f"step-*{BROKEN}"))


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


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
    """A rename is durable once the folder that has the name is synced."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
