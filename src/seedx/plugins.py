"""What other packages add to the library, found by entry points: verbs, data sources, training stages and models.

A package lists it in its pyproject.toml; the library imports it only when it is used:

    [project.entry-points."seedx.sources"]
    stickers = "seedx_stickers.training.source:units"      # the source "stickers:KIND" of a recipe
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from importlib import metadata
from typing import Any, Literal

from seedx.errors import SeedxError

Group = Literal["seedx.models", "seedx.sources", "seedx.stages", "seedx.verbs"]


@functools.cache
def _entries(group: Group) -> dict[str, metadata.EntryPoint]:
    return {entry.name: entry for entry in metadata.entry_points(group=group)}


def names(group: Group) -> list[str]:
    """What is listed in a group; it need not be importable."""
    return sorted(_entries(group))


def find(group: Group, name: str) -> Any:
    """The object that a package lists under a name; None if there is none.

    Raises:
        SeedxError: a package lists it and can't be imported.
    """
    entry = _entries(group).get(name)
    if entry is None:
        return None
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        raise SeedxError(f"{name!r} needs the package {error.name!r}, which is not installed") from error


def named(path: str) -> Any:
    """The object "package.module.name"; None if there is no such module or nothing of that name in it."""
    module, _, name = path.rpartition(".")
    try:
        found = importlib.util.find_spec(module) if module else None
    except (ImportError, ValueError):
        return None
    return getattr(importlib.import_module(module), name, None) if found else None
