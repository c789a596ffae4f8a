"""A recipe as JSON, and where it differs from the one that a run began with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from seedx.train.recipe import NOT_LEARNT, Recipe


def differences(before: Mapping[str, Any], recipe: Recipe) -> list[str]:
    """Where a recipe differs from an earlier one as a dictionary, one line a field, without those in `NOT_LEARNT`."""
    now = _learnt(as_json(recipe))
    old = {**now, **_learnt(before)}
    return [
        f"{name}: {old[name]!r} -> {now[name]!r}" for name in now if name not in NOT_LEARNT and now[name] != old[name]
    ]


def _learnt(values: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe without the labels of its data, which only the log has."""
    plain = dict(values)
    validation = plain.get("validation") or {}
    plain["data"] = [_without_label(table) for table in plain.get("data", [])]
    return plain | {
        "validation": validation | {"data": [_without_label(table) for table in validation.get("data", [])]}
    }


def _without_label(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != "label"}


def as_json(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON types, as `differences` takes it."""
    values: dict[str, Any] = _plain(dataclasses.asdict(recipe))
    return values


def _plain(value: Any) -> Any:
    """Tuples as lists."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value
