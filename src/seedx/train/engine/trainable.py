"""Which parameters are trained, by patterns of their names; set from outside the model.

A pattern is matched as in a shell (`fnmatch`), on the whole name: `unet.*.to_k.*` is every key projection of the U-Net,
`*lora_*` every adapter. A pattern that matches nothing is an error: in the release, keys and values stayed frozen
because its list of trained names and its `requires_grad` disagreed silently.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch
from torch import nn

from seedx.config import PRESETS, Config
from seedx.errors import SeedxError
from seedx.model.detokenizer import Detokenizer
from seedx.model.seedx import SeedX
from seedx.train.recipe import Recipe

# The default patterns of each stage: all but the parts that are always frozen.
DEFAULTS: dict[str, tuple[str, ...]] = {
    "language": ("language.*", "input_resampler.*", "output_resampler.*", "tile_positions"),
    "detokenizer": ("resampler.*", "unet.*"),
    "condition": ("resampler.*", "unet.*"),
}


def apply(model: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Train the parameters that match one of `patterns`, and freeze all others.

    Returns:
        Names of the trained ones, in the model's order.

    Raises:
        SeedxError: no pattern at all, or one that matches no parameter.
    """
    if not patterns:
        raise SeedxError('no parameter would be trained: give patterns of names, such as trained = ["unet.*.to_k.*"]')
    parameters = dict(model.named_parameters())
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in parameters):
            near = difflib.get_close_matches(pattern, parameters, n=1, cutoff=0)[0]
            raise SeedxError(f"the pattern {pattern!r} matches no parameter; the nearest name is {near!r}")
    for name, parameter in parameters.items():
        parameter.requires_grad_(any(fnmatchcase(name, pattern) for pattern in patterns))
    return list(trained(model))


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """The trained parameters, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def count(model: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(parameter.numel() for parameter in trained(model).values())


def build(recipe: Recipe) -> nn.Module:
    """The model of a recipe's stage on the meta device, with its adapters, and `requires_grad` set.

    Raises:
        SeedxError: a stage that another package adds, an unknown preset, or as `apply`.
    """
    if recipe.stage not in DEFAULTS:
        raise SeedxError(f"the stage {recipe.stage!r} has no model of a preset; expected {', '.join(DEFAULTS)}")
    if recipe.config not in PRESETS:
        raise SeedxError(f"config must be one of {', '.join(PRESETS)}, not {recipe.config!r}")
    with torch.device("meta"):
        model = _model(recipe, PRESETS[recipe.config])
    apply(model, recipe.trained or DEFAULTS[recipe.stage])
    return model


def _model(recipe: Recipe, config: Config) -> nn.Module:
    if recipe.stage != "language":
        settings = dataclasses.replace(config.detokenizer, condition=recipe.stage == "condition")
        return Detokenizer(settings, config.vision.output_dim)
    model = SeedX(config)
    if recipe.lora:
        model.language.add_lora()
    return model
