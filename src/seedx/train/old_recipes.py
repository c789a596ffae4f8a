"""Recipes with old names, which are read for one release (see `seedx.deprecated`).

Besides renamed fields there was `options.start`, in place of which there is `init_from` now:

    options.start = true, or false   init_from = "", unless `model` names one: weights in the folder are used anyhow
    options.start = "vision"         init_from = "run:vision"
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seedx.deprecated import RENAMED, rename_keys, warn_of_old_name


def upgrade_recipe(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A recipe, or fields of one, under the new names; each old name is a warning.

    Args:
        where: the recipe, for the warnings.

    Raises:
        SeedxError: a field is there under its old and its new name.
    """
    new = rename_keys("recipe", values, where)
    if isinstance(new.get("options"), dict):
        new["options"] = rename_keys("stage options", new["options"], f"{where}: options")
        start = new["options"].pop("start", None)
        if start is not None:
            new |= {"init_from": f"run:{start}"} if isinstance(start, str) and start else {}
            new.setdefault("init_from", "")
            warn_of_old_name(f"{where}: options.start is now init_from = {new['init_from']!r}")
    if isinstance(new.get("data"), list):
        new["data"] = [_upgrade_data(data, f"{where}: data.{number}") for number, data in enumerate(new["data"])]
    values_of_too_long = RENAMED["values of too_long"]
    if isinstance(too_long := new.get("too_long"), str) and too_long in values_of_too_long:
        new["too_long"] = values_of_too_long[too_long]
        warn_of_old_name(f"{where}: too_long = {too_long!r} is now {new['too_long']!r}")
    if new.get("init_from") == "" and "model" in values:  # as if it were left out
        del new["init_from"]
    return new


def upgrade_changes(changes: Mapping[str, Any], init_from: str = "") -> dict[str, Any]:
    """Fields by their paths, such as "options.start", under the new names.

    Args:
        init_from: of the recipe that is changed: a model that it names is kept by `options.start = true`.
    """
    where = "changed field"
    new: dict[str, Any] = {}
    for path, value in changes.items():
        section, _, name = path.partition(".")
        if not name:
            new |= upgrade_recipe({path: value}, where)
        elif section == "options":
            upgraded = upgrade_recipe({section: {name: value}}, where)
            options = upgraded.pop(section)
            new |= upgraded | {f"{section}.{name}": option for name, option in options.items()}
        else:
            new[path] = value
    if new.get("init_from") == "" and "init_from" not in changes and init_from != "scratch":
        new["init_from"] = init_from
    return new


def _upgrade_data(data: Any, where: str) -> Any:
    if not isinstance(data, dict) or not isinstance(data.get("options"), dict):
        return data
    return {**data, "options": rename_keys("format options", data["options"], where)}
