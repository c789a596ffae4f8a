"""Files that are mapped into memory count as this process's memory once they are read: here they are let go of again.

What is forgotten is read from the disk when it is used next, so nothing changes but the memory. Where the system has no
/proc (macOS, Windows), nothing is forgotten: it drops such pages by itself when memory is short.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

_EVERY = 256 * 1024**2  # bytes read between two times
_MAPS = Path("/proc/self/maps")
_DONT_NEED = 4  # MADV_DONTNEED of Linux
_LINE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \d+ +(/.*)")


def forget(files: Iterable[Path]) -> int:
    """Let go of what was read of mapped files. Tensors on them must not have been written to.

    Returns:
        the size in bytes of the mappings.
    """
    if not _MAPS.exists():
        return 0
    names, size = {os.fspath(file.resolve()) for file in files}, 0
    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for line in _MAPS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        if (match := _LINE.fullmatch(line)) and match[3] in names:
            start, end = int(match[1], 16), int(match[2], 16)
            libc.madvise(start, end - start, _DONT_NEED)
            size += end - start
    return size


def forgetting(files: Iterable[Path], progress: Callable[[str, int], None] | None) -> Callable[[str, int], None]:
    """A `progress` for reading through files once: it calls the given one, and forgets what was read from time to time.

    Args:
        progress: called for each tensor with its part and its size in bytes.
    """
    listed, read = list(files), 0

    def report(part: str, size: int) -> None:
        nonlocal read
        read += size
        if read >= _EVERY:
            forget(listed)
            read = 0
        if progress:
            progress(part, size)

    return report
