"""Checks of a format's options, when the recipe is read rather than at the first record."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from seedx.config import nearest
from seedx.errors import SeedxError
from seedx.hints import fits, in_words


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
        if not fits(value, hints.get(option, Any)):
            raise SeedxError(
                f"the option {option!r} of the format {name!r} must be {in_words(hints[option])}, not {value!r}"
            )
