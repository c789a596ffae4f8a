"""The one boundary between a bad sample, which is counted, and an error of the run, which stops it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from seedx.data.sample_errors import SampleError
from seedx.errors import MissingPackageError
from seedx.images import ImageError

T = TypeVar("T")


def try_sample(where: str, make: Callable[[], T]) -> T | SampleError:
    """`make()`, or the sample error for what it raised.

    Args:
        where: the sample, as in `Record.where`.

    Raises:
        MissingPackageError: the sample can't be read on this installation.
        RuntimeError: an error that no bad sample explains, with the sample's name.
    """
    try:
        return make()
    except MissingPackageError:
        raise
    except SampleError as error:
        return error
    except ImageError as error:
        missing = isinstance(error.__cause__, FileNotFoundError)
        return SampleError("missing file" if missing else "broken image", where, str(error))
    except OSError as error:
        return SampleError("broken image", where, str(error))
    except ValueError as error:
        return SampleError("bad format", where, str(error))
    except Exception as error:
        raise RuntimeError(f"{where}: {type(error).__name__}: {error}") from error
