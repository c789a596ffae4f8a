"""A recipe: one stage of training as data, read from a TOML file."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seedx.config import from_dict

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Recipe:
    name: str
    stage: str  # a name in `stages.STAGES`
    preset: str = "tiny"
    seed: int = 0
    steps: int = 1000
    batch: int = 32
    lr: float = 1e-3
    lr_factors: dict[str, float] = field(default_factory=dict)  # by prefix of a parameter's name
    warmup: int = 100
    min_ratio: float = 0.05  # the learning rate's last value, as a share of `lr`
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    clip: float = 1.0
    ema: float = 0.0  # decay of the averaged weights; 0: none are kept
    bf16: bool = True
    log_every: int = 20
    save_seconds: float = 120.0
    options: dict[str, Any] = field(default_factory=dict)  # the stage's own


def load_recipe(path: Path, **changes: Any) -> Recipe:
    """Read a TOML file; `changes` take the place of its fields. Of an unknown field the error suggests the nearest."""
    if not path.exists():
        raise ValueError(f"there is no recipe at {path}")
    return from_dict(Recipe, {**tomllib.loads(path.read_text()), **changes})
