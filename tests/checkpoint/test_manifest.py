"""Preset 17b has exactly the keys and shapes of the full-size release, both ways."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from seedx.checkpoint import release
from seedx.checkpoint.parts import build, modules, part_state
from seedx.config import SEED_X_17B

MODELS = json.loads((Path(__file__).parents[1] / "golden" / "manifest.json").read_text(encoding="utf-8"))["models"]
PARTS = [
    ("visual_encoder", "visual_encoder", "vision"),
    ("agent", "agent", "bridge"),
    ("llm", "llm", "language"),
    ("first_stage", "sdxl_adapter_first_stage", "detokenizer"),
    ("second_stage", "sdxl_adapter_second_stage", "detokenizer"),
    ("vae", "sdxl_vae", "vae"),
]


@pytest.fixture(scope="module")
def shapes() -> dict[bool, dict[str, dict[str, list[int]]]]:
    """Of the first and the second stage, by part."""
    found = {}
    for condition in (False, True):
        detokenizer = dataclasses.replace(SEED_X_17B.detokenizer, condition=condition)
        parts = modules(*build(dataclasses.replace(SEED_X_17B, detokenizer=detokenizer)))
        found[condition] = {
            part: {name: list(tensor.shape) for name, tensor in part_state(part, module).items()}
            for part, module in parts.items()
        }
    return found


@pytest.mark.parametrize(("part", "model", "ours"), PARTS)
def test_same_keys_and_shapes(part: str, model: str, ours: str, shapes: dict) -> None:
    official = MODELS[model]["keys"]
    built = shapes[part != "first_stage"][ours]
    assert release.from_release(part, official) == built
    # Back again: the same names, but for the frequencies that need not be stored.
    kept = {name: shape for name, shape in official.items() if not release.IGNORED.fullmatch(name)}
    assert release.to_release(part, built) == kept
    assert len(official) - len(kept) == MODELS[model]["buffer_keys"]


def test_table_is_reversible() -> None:
    for part, model, _ in PARTS:
        official = release.to_release(part, release.from_release(part, MODELS[model]["keys"]))
        assert release.from_release(part, official) == release.from_release(part, MODELS[model]["keys"])
