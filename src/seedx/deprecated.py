"""Old names and retired settings in files of earlier versions, which are read for one release."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import Any, Literal

from seedx.errors import SeedxError

Kind = Literal[
    "recipe",
    "stage options",
    "values of too_long",
    "format options",
    "checkpoint",
    "log record",
    "stream state",
    "shard reader state",
    "sample errors",
    "causes of sample errors",
]

RENAMED: Mapping[Kind, Mapping[str, str]] = {
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
    "stage options": {"guessed": "predicted_feature_ratio"},
    "values of too_long": {"cut": "truncate"},
    "format options": {"min_ratio": "min_aspect_ratio"},
    "checkpoint": {"bad_steps": "skipped_steps", "faults": "sample_errors"},
    "log record": {"bad_steps": "skipped_steps", "faults": "sample_errors", "mfu": "utilization"},
    "stream state": {"of": "streams"},
    "shard reader state": {"dealt": "next_unit", "taken": "epoch_samples", "samples": "total_samples"},
    "sample errors": {"good": "used", "causes": "counts", "last": "examples"},
    "causes of sample errors": {"cut": "truncated"},
}


# Settings of config.json, by path, of which only this value is left.
RETIRED_SETTINGS: dict[str, Any] = {"bridge.output_layers": 1}


class OldNameWarning(FutureWarning):
    """A name of an earlier version, which is read for one more release."""


def warn_of_old_name(text: str, stacklevel: int = 3) -> None:
    """
    Args:
        text: which name is now which.
    """
    warnings.warn(f"{text}. The old name is read for one more release", OldNameWarning, stacklevel=stacklevel)


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
            warn_of_old_name(f"{where}: {name} is now {new}", stacklevel=4)
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
