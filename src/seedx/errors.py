"""The error of a user's mistake: the command line shows it as one line, and any other exception with its traceback."""

from __future__ import annotations


class SeedxError(ValueError):
    """An input, setting, file or record that can't be used.

    The message says what was expected, what came and what to do.
    """


class MissingPackageError(SeedxError):
    """What is asked for needs an optional package that is not installed. The message names the extra to install."""


class ContextFullError(SeedxError):
    """A prompt, with what came before it, is longer than the model's context, or leaves no room for a reply."""


class SeedxWarning(UserWarning):
    """Something that works, but most likely not as intended."""
