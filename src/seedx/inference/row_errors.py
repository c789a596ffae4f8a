"""Rows of a batch of which some can't be used: the call raises their error, or each is the result of its own row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from seedx.errors import SeedxError, shorten

OnError = Literal["raise", "return"]
R = TypeVar("R")
T = TypeVar("T")
U = TypeVar("U")


def each(
    rows: Sequence[R], make: Callable[[R], T], run: Callable[[list[T]], list[U]], on_error: OnError
) -> list[U | SeedxError]:
    """`run` on what `make` gives for each row.

    Args:
        run: gives a result for each of the rows that it is given; not called without any.
        on_error: "raise": the first error of `make` is raised. "return": it is its row's result.

    Raises:
        SeedxError: another `on_error`; what `run` raises, and `make` if on_error is "raise".
    """
    if on_error not in ("raise", "return"):
        raise SeedxError(f'on_error is "raise" or "return", not {shorten(on_error)}')
    made = [make(row) if on_error == "raise" else _tried(make, row) for row in rows]
    good = [one for one in made if not isinstance(one, SeedxError)]
    done = iter(run(good) if good else [])
    return [one if isinstance(one, SeedxError) else next(done) for one in made]


def same_length(what: str, values: Sequence[object], count: int, of: str) -> None:
    """
    Raises:
        SeedxError: there are more or fewer values than rows.
    """
    if len(values) != count:
        raise SeedxError(f"one {what} a {of}: {count} {of}s came with {len(values)} {what}s")


def _tried(make: Callable[[R], T], row: R) -> T | SeedxError:
    try:
        return make(row)
    except SeedxError as error:
        return error
