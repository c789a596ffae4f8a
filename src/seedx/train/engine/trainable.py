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
from pathlib import Path

import torch
from torch import nn

from seedx.config import PRESETS, Config, LoraConfig
from seedx.errors import SeedxError
from seedx.model.detokenizer import Detokenizer
from seedx.model.lora_training import UNET_LAYERS, inject
from seedx.model.seedx import SeedX
from seedx.train.recipe import Recipe

# The default patterns of each stage: all but the parts that are always frozen.
DEFAULTS: dict[str, tuple[str, ...]] = {
    "language": ("language.*", "input_resampler.*", "output_resampler.*", "tile_positions"),
    "detokenizer": ("resampler.*", "unet.*"),
    "condition": ("resampler.*", "unet.*"),
}


ADAPTER = ("*lora_*",)  # of a recipe that trains an adapter


def patterns(recipe: Recipe, stage: str) -> tuple[str, ...]:
    """Those of a recipe, or else the stage's."""
    return recipe.trained or (ADAPTER if recipe.adapter else DEFAULTS[stage])


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
    apply(model, patterns(recipe, recipe.stage))
    return model


def adapter_folder(folder: Path, recipe: Recipe) -> Path:
    """Where a stage writes the adapter that it has trained."""
    return folder / "adapters" / recipe.name


def lora_settings(recipe: Recipe) -> LoraConfig:
    """Of an adapter: its changes are not scaled, as in the release's recipes."""
    return LoraConfig(rank=recipe.adapter, alpha=recipe.adapter)


def with_lora(config: Config, recipe: Recipe) -> Config:
    """The sizes of a model with the adapters that the recipe trains."""
    if recipe.adapter:
        lora = lora_settings(recipe)
    elif recipe.lora and not config.language.lora:
        lora = LoraConfig()
    else:
        return config
    return dataclasses.replace(config, language=dataclasses.replace(config.language, lora=lora))


def _model(recipe: Recipe, config: Config) -> nn.Module:
    if recipe.stage != "language":
        settings = dataclasses.replace(config.detokenizer, condition=recipe.stage == "condition")
        detokenizer = Detokenizer(settings, config.vision.output_dim)
        if recipe.adapter:
            inject(detokenizer.unet, lora_settings(recipe), UNET_LAYERS)
        return detokenizer
    model = SeedX(with_lora(config, recipe))
    if recipe.lora or recipe.adapter:
        model.language.add_lora()
    return model


def check_finite(model: nn.Module, name: str) -> None:
    """
    Raises:
        SeedxError: a trained parameter is not finite: it must not replace one that is.
    """
    for key, parameter in model.named_parameters():
        if parameter.requires_grad and not torch.isfinite(parameter).all():
            raise SeedxError(
                f"{name}: {key} has values that are not finite, so nothing is written over the model; lower lr, and "
                "start the run again under another name"
            )
