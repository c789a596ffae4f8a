"""The target of lmms-eval's entry point: the names of the classes, without importing them."""

from __future__ import annotations

from typing import Any


def manifest() -> Any:
    """The entry of group `lmms_eval.models`, a `ModelManifest` (lmms_eval/models/registry_v2.py of lmms-eval 0.7)."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(
        "seedx", simple_class_path="seedx.evaluation.lmms.SeedX", chat_class_path="seedx.evaluation.lmms.SeedXChat"
    )
