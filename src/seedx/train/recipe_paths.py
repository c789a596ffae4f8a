"""Fields of a recipe by their paths, such as `data.0.weight`."""

from __future__ import annotations

from typing import Any

from seedx.errors import SeedxError


def place(values: dict[str, Any], path: str, value: Any) -> None:
    """Set `values` at "data.0.weight"; missing dictionaries are made, indices of lists must exist.

    Raises:
        SeedxError: a list without that index, or a value with no fields.
    """
    *way, last = path.split(".")
    at: Any = values
    for depth, name in enumerate(way):
        key = _key(at, name, path, way[:depth])
        at = at.setdefault(key, {}) if isinstance(at, dict) else at[key]
    at[_key(at, last, path, way)] = value


def _key(at: Any, name: str, path: str, way: list[str]) -> Any:
    """The key of `name` in a dictionary, or its index in a list.

    Raises:
        SeedxError: `at` is neither, or a list without that index.
    """
    if isinstance(at, list):
        if not name.isdigit() or int(name) >= len(at):
            raise SeedxError(f"{path}: {'.'.join(way)} has the indices 0 to {len(at) - 1}, not {name!r}")
        return int(name)
    if not isinstance(at, dict):
        raise SeedxError(f"{path}: {'.'.join(way)} holds {at!r}, which has no fields")
    return name
