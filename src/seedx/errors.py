"""The error of a user's mistake: the command line shows it as one line, and any other exception with its traceback."""

from __future__ import annotations


class SeedxError(ValueError):
    """An input, setting, file or record that can't be used.

    The message says what was expected, what came and what to do.
    """


class MissingPackageError(SeedxError):
    """A feature needs an optional package that is not installed. The message names the extra to install."""


class SeedxWarning(UserWarning):
    """What a user should know about a result, and can change. The command line shows it on one line."""


def shorten(value: object, limit: int = 80) -> str:
    """`repr(value)` for a message, cut in its middle to about `limit` characters: some inputs are whole files."""
    if isinstance(value, (str, bytes, bytearray, memoryview)) and len(value) > limit:
        value = bytes(value) if isinstance(value, memoryview) else value
        head, tail = value[: limit // 2], value[-(limit // 4) :]
        return f"{head!r}...{tail!r}"
    shown = repr(value)
    return shown if len(shown) <= limit else f"{shown[: limit // 2]}...{shown[-(limit // 4) :]}"
