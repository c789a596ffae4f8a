"""The package llama-cpp-python, which is optional: its low-level API, and what llama.cpp says."""

from __future__ import annotations

import functools
from collections import deque
from typing import Any

from seedx.errors import MissingPackageError

_WARNING, _ERROR = 3, 4  # levels of ggml
_said: deque[str] = deque(maxlen=3)


@functools.cache
def package() -> Any:
    """The low-level API. llama.cpp's log is not shown: see `last_words`.

    Raises:
        MissingPackageError: llama-cpp-python is not installed.
    """
    try:
        from llama_cpp import llama_cpp
    except (ImportError, RuntimeError, OSError) as error:
        raise MissingPackageError(
            f"this needs llama-cpp-python ({error}): `make llama` builds what is needed of it in some minutes, and "
            '`pip install "seedx[llama]"` all of it'
        ) from error
    llama_cpp.llama_log_set(_listen(llama_cpp.llama_log_callback), None)
    llama_cpp.llama_backend_init()
    return llama_cpp


def last_words() -> str:
    """The last errors that llama.cpp logged, for the end of a message; they are forgotten then."""
    said = "; ".join(_said)
    _said.clear()
    return f": {said}" if said else ""


@functools.cache  # llama.cpp keeps its address, so it must live
def _listen(callback: Any) -> Any:
    def log(level: int, text: bytes, _: object) -> None:
        if level in (_WARNING, _ERROR) and (line := text.decode(errors="replace").strip()):
            _said.append(line)

    return callback(log)
