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
