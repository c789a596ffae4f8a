"""Checks of a format's options, when the recipe is read rather than at the first record."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

from seedx.config import nearest
from seedx.errors import SeedxError

Ratio = Annotated[float, "from 0 to 1"]


def check(name: str, function: Callable[..., Any], options: Mapping[str, Any], also: Iterable[str] = ()) -> None:
    """Check options against the keyword-only arguments of a format's function.

    Args:
        also: options that every format has, to be named among the known ones.

    Raises:
        SeedxError: an unknown option (with the nearest), or a value of the wrong type.
    """
    known = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for option in options:
        if option not in known:
            raise SeedxError(f"the format {name!r} has no option {option!r}{nearest(option, sorted({*known, *also}))}")
    check_types(name, function, options)


def check_types(name: str, annotated: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Check the values of options against the annotations of a function or class.

    Raises:
        SeedxError: a value of the wrong type.
    """
    hints = typing.get_type_hints(annotated, include_extras=True)
    for option, value in options.items():
        if not _fits(value, hints.get(option, Any)):
            raise SeedxError(
                f"the option {option!r} of the format {name!r} must be {_words(hints[option])}, not {value!r}"
            )


def _fits(value: Any, hint: Any) -> bool:
    if hint == Ratio:
        return _fits(value, float) and 0 <= value <= 1
    if typing.get_origin(hint) is typing.Literal:
        return value in typing.get_args(hint)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if typing.get_origin(hint) is Mapping:
        return isinstance(value, Mapping) and all(_fits(bound, float) for bound in value.values())
    return not isinstance(hint, type) or isinstance(value, hint)


def _words(hint: Any) -> str:
    if hint == Ratio:
        return "a number from 0 to 1"
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(map(repr, typing.get_args(hint)))
    if typing.get_origin(hint) is Mapping:
        return "a table of numbers by the names of fields"
    return {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}.get(hint, str(hint))
