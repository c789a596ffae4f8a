"""The manifest: every name and shape of the full-size release against preset "17b", built without memory, both ways."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from seedx.checkpoint import release
from seedx.checkpoint.parts import build
from seedx.config import SEED_X_17B

PARTS = {
    "visual_encoder": "visual_encoder",
    "agent": "agent",
    "llm": "llm",
    "sdxl_adapter_first_stage": "first_stage",
    "sdxl_adapter_second_stage": "second_stage",
    "sdxl_vae": "vae",
}

Shapes = dict[str, tuple[int, ...]]


def check(folder: Path, name: str) -> list[tuple[str, float]]:
    """For each model, how many names or shapes differ after conversion: to ours, and to the release's."""
    manifest = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["models"]
    ours = full_size()
    results = []
    for model, part in PARTS.items():
        official: Shapes = {key: tuple(shape) for key, shape in manifest[model]["keys"].items()}
        results.append((f"{model}/to_ours", differences(release.from_release(part, official), ours[part])))
        kept = {key: shape for key, shape in official.items() if not release.IGNORED.fullmatch(key)}
        results.append((f"{model}/to_release", differences(release.to_release(part, ours[part]), kept)))
    return results


def full_size() -> dict[str, Shapes]:
    """Names and shapes of our modules by part of the release."""
    seedx, second = build(SEED_X_17B)
    first_config = dataclasses.replace(SEED_X_17B.detokenizer, condition=False)
    _, first = build(dataclasses.replace(SEED_X_17B, detokenizer=first_config))
    bridge = {key: t for key, t in seedx.state_dict().items() if not key.startswith(("vision.", "language."))}
    return {
        "visual_encoder": shapes(seedx.vision.state_dict()),
        "agent": shapes(bridge),
        "llm": shapes(seedx.language.state_dict()),
        "first_stage": shapes({key: t for key, t in first.state_dict().items() if not key.startswith("vae.")}),
        "second_stage": shapes({key: t for key, t in second.state_dict().items() if not key.startswith("vae.")}),
        "vae": shapes(second.vae.state_dict()),
    }


def shapes(state: Mapping[str, Tensor]) -> Shapes:
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def differences(one: Shapes, other: Shapes) -> float:
    return float(len(set(one.items()) ^ set(other.items())))
