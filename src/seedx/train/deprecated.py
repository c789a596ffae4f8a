"""Old names in recipes, runs and logs, read for one release. Each use is a warning that names the new name.

The one table of them is `RENAMED`. Besides it, `options.start`, which said what `init_from` says now:

    options.start = true, or false   init_from = "", unless `model` names one: weights in the folder are used anyhow
    options.start = "vision"         init_from = "run:vision"
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

from seedx.errors import SeedxError

Kind = Literal["recipe", "options", "too_long", "log", "checkpoint"]

RENAMED: dict[Kind, dict[str, str]] = {
    "recipe": {
        "preset": "config",
        "model": "init_from",
        "batch": "global_batch_size",
        "micro": "micro_batch_size",
        "warmup": "warmup_steps",
        "min_ratio": "min_lr_ratio",
        "clip": "max_grad_norm",
        "ema": "ema_decay",
        "checkpointing": "activation_checkpointing",
        "row": "max_seq_len",
        "max_faults": "max_sample_errors",
        "max_bad_steps": "max_skipped_steps",
        "keep": "keep_last",
    },
    "options": {"guessed": "predicted_feature_ratio"},
    "too_long": {"cut": "truncate"},  # a value
    "log": {"bad_steps": "skipped_steps", "faults": "sample_errors", "mfu": "utilization"},
    "checkpoint": {"bad_steps": "skipped_steps", "faults": "sample_errors"},
}


def upgrade_recipe(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A recipe, or fields of one, under the new names.

    Raises:
        SeedxError: a field is there under its old and its new name.
    """
    told: list[str] = []
    new = _renamed("recipe", values, told)
    if isinstance(options := new.get("options"), dict):
        new["options"] = _renamed("options", options, told, "options.")
        start = new["options"].pop("start", None)
        if start is not None:
            _start(start, new, told)
    if isinstance(too_long := new.get("too_long"), str) and too_long in RENAMED["too_long"]:
        new["too_long"] = RENAMED["too_long"][too_long]
        told.append(f"too_long = {too_long!r} is now {new['too_long']!r}")
    if new.get("init_from") == "" and "model" in values:  # as if it were left out
        del new["init_from"]
    _warn(told, where)
    return new


def upgrade_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by their paths, such as "options.start", under the new names."""
    new: dict[str, Any] = {}
    for path, value in changes.items():
        whole, _, inner = path.partition(".")
        if not inner:
            new |= upgrade_recipe({path: value}, "the command")
        elif whole == "options":
            upgraded = upgrade_recipe({whole: {inner: value}}, "the command")
            options = upgraded.pop(whole)
            new |= upgraded | {f"{whole}.{name}": one for name, one in options.items()}
        else:
            new[path] = value
    return new


def upgrade_log(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record of a run's log under the new names. What was `mfu` was measured against this machine's own speed."""
    new = dict(record)
    for old, name in RENAMED["log"].items():
        if old in new and name not in new:
            new[name] = new.pop(old)
    return new


def upgrade_checkpoint(state: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What a checkpoint holds besides tensors, under the new names."""
    told: list[str] = []
    new = _renamed("checkpoint", state, told)
    _warn(told, where)
    return new


def _renamed(kind: Kind, values: Mapping[str, Any], told: list[str], path: str = "") -> dict[str, Any]:
    new: dict[str, Any] = {}
    for name, value in values.items():
        now = RENAMED[kind].get(name, name)
        if now != name:
            if now in values:
                raise SeedxError(f"{path}{name} is the old name of {path}{now}: give one of them")
            told.append(f"{path}{name} is now {path}{now}")
        new[now] = value
    return new


def _start(start: bool | str, new: dict[str, Any], told: list[str]) -> None:
    """`options.start` as `init_from`."""
    if isinstance(start, str) and start:
        new["init_from"] = f"run:{start}"
    else:
        new.setdefault("init_from", "")
    told.append(f"options.start is now init_from = {new['init_from']!r}")


def _warn(told: list[str], where: str) -> None:
    if told:
        warnings.warn(
            f"{where}: {'; '.join(told)}. The old names are read for one more release", FutureWarning, stacklevel=4
        )
