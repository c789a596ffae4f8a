"""The error of a user's mistake: the command line shows it as one line, and any other exception with its traceback."""

from __future__ import annotations


class SeedxError(ValueError):
    """An input, setting, file or record that can't be used.

    The message says what was expected, what came and what to do.
    """


class MissingPackageError(SeedxError):
    """A feature needs an optional package that is not installed. The message names the extra to install."""


class ContextFullError(SeedxError):
    """A prompt, with what came before it, is longer than the model's context, or leaves no room for a reply."""


class SeedxWarning(UserWarning):
    """What a user should know about a result, and can change. The command line shows it on one line."""


def shorten(value: object, limit: int = 80) -> str:
    """`repr(value)` for a message, cut in its middle to about `limit` characters: some inputs are whole files."""
    if isinstance(value, memoryview):
        value = bytes(value[: 4 * limit])
    if isinstance(value, (str, bytes, bytearray)) and len(value) > limit:
        return f"{value[: limit // 2]!r}...{value[-(limit // 4) :]!r}"
    try:
        shown = repr(value)
    except ValueError:  # an int of more digits than Python writes
        return f"a number of type {type(value).__name__}"
    return shown if len(shown) <= limit else f"{shown[: limit // 2]}...{shown[-(limit // 4) :]}"


def first_line(error: BaseException, limit: int = 300) -> str:
    """The first line of what an error says, cut to `limit` characters: some libraries add paragraphs of advice."""
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    return said if len(said) <= limit else f"{said[:limit]}..."
