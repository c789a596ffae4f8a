"""Checks of numbers that users give: in calls, on the command line and in recipes. Standard library only.

numpy's integers are integers, and its floats are floats; NaN and infinity are never settings.
"""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import Any

from seedx.errors import SeedxError, shorten


def integer(name: str, value: Any, lowest: int | None = None, highest: int | None = None) -> int:
    """The value as an int.

    Raises:
        SeedxError: it is no whole number, or out of range.
    """
    try:
        found = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        found = None
    if found is None:
        raise SeedxError(f"{name} must be of type int, not {shorten(value)}")
    _check_range(name, found, lowest, highest)
    return found


def number(name: str, value: Any, lowest: float | None = None, highest: float | None = None) -> float:
    """The value as it came if it is an int or a float, otherwise as a float: numpy's, one of which is a subclass.

    Raises:
        SeedxError: it is no number, not finite, or out of range.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise SeedxError(f"{name} must be of type float, not {shorten(value)}")
    if not is_finite(value):
        raise SeedxError(f"{name} must be a finite number, not {shorten(value)}")
    found = value if isinstance(value, int) else float(value)
    _check_range(name, found, lowest, highest)
    return found


def all_finite(name: str, value: Any) -> None:
    """Check every value within lists and dictionaries: it is stored as JSON.

    Raises:
        SeedxError: one is NaN or infinite, or of a type that JSON does not have; the message names its path.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            all_finite(f"{name}.{key}", inner)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            all_finite(f"{name}.{index}", inner)
    elif isinstance(value, float) and not math.isfinite(value):
        raise SeedxError(f"{name} must be a finite number, not {value}")
    elif not isinstance(value, str | int | float | None):
        raise SeedxError(f"{name} must be a text, a number, a list or a table, not {shorten(value)}")


def is_finite(value: Any) -> bool:
    """Whether a number is finite, also as a float: an int of 400 digits is not."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _check_range(name: str, value: float, lowest: float | None, highest: float | None) -> None:
    if lowest is not None and value < lowest:
        raise SeedxError(f"{name} must be at least {lowest}, not {shorten(value)}")
    if highest is not None and value > highest:
        raise SeedxError(f"{name} must be at most {highest}, not {shorten(value)}")
