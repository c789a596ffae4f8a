"""Whose folder of results it is: the command in job.json, and the lock of the process that writes."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from seedx.errors import SeedxError


def check_job(folder: Path, job: dict[str, Any]) -> None:
    """
    Raises:
        SeedxError: the folder holds something else, or rows of another job; it says what differs.
    """
    file = folder / "job.json"
    if folder.exists() and not folder.is_dir():
        raise SeedxError(f"{folder} is a file: give a folder for the results")
    if not file.exists():
        if folder.exists() and any(not entry.name.startswith(".") for entry in folder.iterdir()):
            raise SeedxError(f"{folder} holds other files: give a folder that is empty or not there")
        return
    try:
        before = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SeedxError(f"{file} can't be read ({error}): give another folder") from error
    job = json.loads(json.dumps(job))
    files, known = job.pop("files", {}), before.pop("files", {})
    changed = [path for path in known if known[path] != files.get(path)]  # new ones may come
    for name in ["files", *before, *job]:
        if changed if name == "files" else before.get(name) != job.get(name):
            was, now = (json.dumps(each.get(name), ensure_ascii=False)[:80] for each in (before, job))
            what = f"{changed[0]} has changed" if changed else f"{name} was {was}, and is {now} now"
            raise SeedxError(
                f"{folder} holds the rows of another command: {what}. Repeat the command as it was, give another "
                "folder, or delete this one"
            )


def locked(path: Path) -> int:
    """A lock that ends with the process, however it ends.

    Raises:
        SeedxError: another process holds it.
    """
    opened = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    with contextlib.suppress(ImportError):  # not on Windows
        import fcntl

        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(opened)
            raise SeedxError(f"another process writes to {path.parent}: wait for it, or end it") from error
    return opened
