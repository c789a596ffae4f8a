"""A recipe's TOML file, and those that it includes:

include = "mixture.toml"     # beside the recipe; or a list of files
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from seedx.errors import SeedxError, shorten


def read(path: Path) -> dict[str, Any]:
    """The values of a recipe and of the files that it includes: its own replace theirs, and its data sets are added.

    Raises:
        SeedxError: a file is missing or not TOML, or includes a file and is included itself.
    """
    values = _toml(path)
    names = values.pop("include", [])
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SeedxError(f"{path}: include is a file beside the recipe, or a list of them, not {shorten(names)}")
    for name in names:
        shared = _toml(path.parent / name)
        if "include" in shared:
            raise SeedxError(f"{path.parent / name} is included itself, and can't include others")
        data = [each.get("data", []) for each in (shared, values)]
        values = shared | values
        if all(isinstance(tables, list) for tables in data):  # or what is there is refused later
            values["data"] = data[0] + data[1]
    return values


def _toml(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise SeedxError(f"there is no recipe at {path}")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, or a number of more digits than Python reads
        raise SeedxError(f"{path} is not TOML: {error}") from error
