"""What files of earlier versions still have: the one table of names that were renamed or retired."""

from __future__ import annotations

import copy
from typing import Any

from seedx.errors import SeedxError

# Settings of config.json, by path, of which only this value is left.
RETIRED_SETTINGS: dict[str, Any] = {"bridge.output_layers": 1}


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
