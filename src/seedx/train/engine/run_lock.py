"""One process trains in a run's folder at a time: a lock file with its host and process.

    RUN/run.lock    {"host": "node7", "pid": 4242}

The first rank holds it and touches it while the run lasts. A lock is stale if its process on this host is gone, or if
nothing has touched it for `STALE` seconds (a machine that went down): it is taken over, with a warning.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seedx.atomic import alive
from seedx.errors import SeedxError

log = logging.getLogger(__name__)

TOUCH, STALE = 20.0, 300.0  # seconds


@contextlib.contextmanager
def run_lock(run: Path) -> Iterator[None]:
    """Hold the lock of a run's folder.

    Raises:
        SeedxError: another process holds it.
    """
    file = run / "run.lock"
    run.mkdir(parents=True, exist_ok=True)
    mine = {"host": socket.gethostname(), "pid": os.getpid()}
    _take(file, mine)
    ended = threading.Event()
    toucher = threading.Thread(target=_touch, args=(file, ended), name="run-lock", daemon=True)
    toucher.start()
    try:
        yield
    finally:
        ended.set()
        toucher.join()
        if _read(file) == mine:
            file.unlink(missing_ok=True)


def _take(file: Path, mine: dict[str, Any]) -> None:
    try:
        handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        holder = _read(file)
        if not _stale(file, holder, mine):
            raise SeedxError(
                f"{file.parent} is in use: process {holder.get('pid')} on {holder.get('host')} trains there; stop it, "
                f"or give the run another name. If it is gone, remove {file}"
            ) from None
        log.warning("%s was left by process %s on %s: taken over", file, holder.get("pid"), holder.get("host"))
        file.unlink(missing_ok=True)
        handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    with os.fdopen(handle, "w", encoding="utf-8") as opened:
        json.dump(mine, opened)


def _stale(file: Path, holder: dict[str, Any], mine: dict[str, Any]) -> bool:
    try:
        silent = time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return True
    if holder.get("host") == mine["host"] and isinstance(pid := holder.get("pid"), int):
        return pid == mine["pid"] or silent > STALE or not alive(pid)  # a container may give us its old number
    return silent > STALE


def _read(file: Path) -> dict[str, Any]:
    """Who holds the lock; empty where nobody does or the file is torn."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _touch(file: Path, ended: threading.Event) -> None:
    while not ended.wait(TOUCH):
        with contextlib.suppress(OSError):
            os.utime(file)
