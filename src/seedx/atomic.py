"""Files and folders that appear whole or not at all: written aside, then renamed.

What is written aside has a name of this process, so nothing that others made is touched or removed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing_file(file: Path) -> Iterator[Path]:
    """A path beside `file` to write to, with the same ending; it takes the place of `file` if the block ends without an
    error. A link stays one. What is no regular file, such as /dev/stdout, is written to directly."""
    if file.exists() and not file.is_file():
        yield file
        return
    target = file.resolve() if file.is_symlink() else file
    aside = target.with_name(f".{target.name}.{os.getpid()}.part{target.suffix}")
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

    A process that is killed while it writes leaves a hidden folder, `.NAME.*.part`, which can be removed.
    """
    target = folder.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
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
