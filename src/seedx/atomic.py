"""Files and folders that appear whole or not at all: written aside, then renamed.

What is written aside has the name of this machine and process, so nothing that others made is touched. What a process
left that was killed is removed by the next save of the same name on that machine.

    .NAME.HOST.PID.part       a file that is being written, with the ending of NAME once more
    .NAME.HOST.PID.XXXX.part  a folder
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_HOST = re.sub(r"\W", "-", socket.gethostname())[:16]


@contextmanager
def replacing_file(file: Path) -> Iterator[Path]:
    """A path beside `file` to write to, with the same ending; it takes the place of `file` if the block ends without an
    error. A link stays one. What is no regular file, such as /dev/stdout, is written to directly."""
    if file.exists() and not file.is_file():
        yield file
        return
    target = file.resolve() if file.is_symlink() else file
    _remove_stale(target)
    aside = target.with_name(f".{target.name}.{_HOST}.{os.getpid()}.part{target.suffix}")
    try:
        yield aside
        os.replace(aside, target)
    except OSError as error:
        if error.filename == str(aside):  # what the user knows
            error.filename = str(file)
        raise
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: Path, ours: Callable[[str], bool] = lambda name: True) -> Iterator[Path]:
    """An empty folder to write to, which takes the place of `folder` if the block ends without an error.

    What is in the old folder under a name that is not `ours` is moved to the new one.

    A process that is killed while it writes leaves a hidden folder, which the next save of the name removes.
    """
    target = folder.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(target)
    prefix = f".{target.name}.{_HOST}.{os.getpid()}."
    scratch = Path(tempfile.mkdtemp(prefix=prefix, suffix=".part", dir=target.parent))
    aside, old = scratch / target.name, scratch / f"{target.name}.old"
    aside.mkdir()
    try:
        yield aside
        if target.exists():
            target.rename(old)
        try:
            aside.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
        for entry in list(old.iterdir()) if old.is_dir() else ():
            if not ours(entry.name) and not (target / entry.name).exists():
                entry.rename(target / entry.name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _remove_stale(target: Path) -> None:
    """Remove what killed processes of this machine wrote aside for `target`; that of others may still be written.

    A folder that holds the target's old content, since its process died between two renames, is kept.
    """
    name = re.escape(f".{target.name}.{_HOST}.")
    pattern = re.compile(rf"{name}(\d+)(\.\w+)?\.part({re.escape(target.suffix)})?")
    for entry in target.parent.iterdir() if target.parent.is_dir() else ():
        found = pattern.fullmatch(entry.name)
        if not found or alive(int(found[1])) or (entry / f"{target.name}.old").exists():
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def alive(pid: int) -> bool:
    """Whether a process of this machine is running."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # a process of someone else
        return True
    return True
