"""Values of files tested against type hints, and the hints in words. Standard library only.

A value read from JSON or TOML has no type yet; the hint is that of the field or argument it is meant for.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any

Ratio = Annotated[float, "from 0 to 1"]


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type: a whole number is a float too, and true is no number."""
    if hint == Ratio:
        return fits(value, float) and 0 <= value <= 1
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return any(fits(value, option) for option in inner)
    if origin is tuple:
        length = None if inner[1:] == (...,) else len(inner)
        return isinstance(value, tuple) and length in (None, len(value)) and all(fits(one, inner[0]) for one in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(fits(one, inner[1]) for one in value.values())
    if origin is dict:
        return isinstance(value, dict)
    if origin is typing.Literal:
        return value in inner
    if hint in (int, float):
        kinds = int if hint is int else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool)
    return not isinstance(hint, type) or isinstance(value, hint)


def in_words(hint: Any) -> str:
    """What a user is told that a value must be."""
    if hint == Ratio:
        return "a number from 0 to 1"
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(map(repr, typing.get_args(hint)))
    if typing.get_origin(hint) is Mapping:
        return "a table of numbers by the names of fields"
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return names.get(hint) or str(hint).replace("seedx.config.", "").replace("typing.", "")
