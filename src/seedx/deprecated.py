"""Old names and retired settings in files of earlier versions, which are read for one release."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import Any, Literal

from seedx.errors import SeedxError

Kind = Literal["format options", "stream state", "shard reader state", "sample errors", "causes of sample errors"]

RENAMED: Mapping[Kind, Mapping[str, str]] = {
    "format options": {"min_ratio": "min_aspect_ratio"},
    "stream state": {"of": "streams"},
    "shard reader state": {"dealt": "next_unit", "taken": "epoch_samples", "samples": "total_samples"},
    "sample errors": {"good": "used", "causes": "counts", "last": "examples"},
    "causes of sample errors": {"cut": "truncated"},
}


# Settings of config.json, by path, of which only this value is left.
RETIRED_SETTINGS: dict[str, Any] = {"bridge.output_layers": 1}


def rename_keys(kind: Kind, values: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """The values under the new names.

    Args:
        where: what a user wrote, such as a recipe: each old name is a warning. Empty for a checkpoint, which nobody
            can change: no warning.

    Raises:
        SeedxError: a value is there under its old and its new name.
    """
    renamed: dict[str, Any] = {}
    for name, value in values.items():
        new = RENAMED[kind].get(name, name)
        if new != name and new in values:
            raise SeedxError(f"{where or kind}: {name} is the old name of {new}: give one of them")
        if new != name and where:
            warnings.warn(
                f"{where}: {name} is now {new}. The old name is read for one more release", FutureWarning, stacklevel=3
            )
        renamed[new] = value
    return renamed


def without_retired(settings: dict[str, Any]) -> dict[str, Any]:
    """The content of a config.json without retired settings.

    Raises:
        SeedxError: a retired setting has another value than the one that is left.
    """
    settings = copy.deepcopy(settings)
    for path, value in RETIRED_SETTINGS.items():
        *parents, name = path.split(".")
        section: Any = settings
        for parent in parents:
            section = section.get(parent) if isinstance(section, dict) else None
        if isinstance(section, dict) and section.pop(name, value) != value:
            raise SeedxError(f"the setting {path!r} of config.json was retired: only {value!r} is supported; remove it")
    return settings
