"""The one boundary between a bad sample, which is counted, and an error of the run, which stops it.

Whatever one sample raises is the sample's error: data of this size holds every kind of junk, and a run that ends at one
ends there again on every resume. Only what no other sample would survive either stops a run: no memory, an interrupt.
"""

from __future__ import annotations

import functools
import logging
import traceback
from collections.abc import Callable
from typing import TypeVar

from seedx.data.sample_errors import SampleError
from seedx.errors import MissingPackageError
from seedx.images import ImageError

log = logging.getLogger(__name__)
T = TypeVar("T")

UNEXPECTED = "unexpected error"


def try_sample(where: str, make: Callable[[], T]) -> T | SampleError:
    """`make()`, or the sample error for what it raised.

    What looks like a bug of ours or of a format (a KeyError, a TypeError, ...) is counted as "unexpected error"; the
    first of each kind is logged with its traceback.

    Args:
        where: the sample, as in `Record.where`.

    Raises:
        MemoryError: no bad sample explains it.
    """
    try:
        return make()
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, RuntimeError) and "allocate memory" in str(error):  # how torch says it, on the CPU
            raise MemoryError(f"{where}: {error}") from error
        return _as_sample_error(where, error)


def _as_sample_error(where: str, error: Exception) -> SampleError:
    if isinstance(error, SampleError):
        return error
    if isinstance(error, MissingPackageError):
        return SampleError("missing package", where, str(error))
    if isinstance(error, ImageError):
        missing = isinstance(error.__cause__, FileNotFoundError)
        return SampleError("missing file" if missing else "broken image", where, str(error))
    if isinstance(error, OSError):
        return SampleError("broken image", where, str(error))
    if isinstance(error, ValueError):
        return SampleError("bad format", where, str(error))
    frame = traceback.extract_tb(error.__traceback__)[-1]
    _log_first(type(error).__name__, frame.filename, frame.lineno)
    return SampleError(UNEXPECTED, where, f"{type(error).__name__}: {error}")


@functools.lru_cache(1000)
def _log_first(kind: str, file: str, line: int | None) -> None:
    """Log the error that is being handled. The cache answers all further calls for the same place in the code."""
    log.warning("%s at %s:%s is counted as a bad sample; the first of them was", kind, file, line, exc_info=True)
