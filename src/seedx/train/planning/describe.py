"""A look before training: what would be trained, in how much memory, on what."""

from __future__ import annotations

import re
from collections import Counter

import torch
from torch import nn

from seedx.train.engine.parallel import optimizer_parameters
from seedx.train.recipe import Recipe
from seedx.train.stages.base import Stage


def describe(stage: Stage, recipe: Recipe) -> list[str]:
    """Lines of text."""
    model = stage.model
    here, frozen = (
        _sizes(optimizer_parameters(model)),
        sum(p.numel() for p in model.parameters() if not p.requires_grad),
    )
    groups: Counter[str] = Counter()
    for name, size in here.items():
        groups[re.sub(r"\.\d+\.", ".*.", name)] += size
    width = max(map(len, groups))
    losses = " + ".join(f"{weight:g} {name}" for name, weight in stage.weights.items())
    return [
        f"{recipe.name}: {recipe.steps} steps of {recipe.global_batch_size}, lr {recipe.lr:g}, loss {losses}",
        "",
        f"trained: {sum(here.values()):,} parameters; frozen: {frozen:,}",
        *(f"  {name:<{width}}  {size:>14,}" for name, size in groups.items()),
        "",
        f"memory before activations: {_memory(model, recipe) / 2**20:,.0f} MB of weights, gradients, AdamW's moments"
        + (" and averages" if recipe.ema_decay else ""),
        "",
        "data:",
        *(f"  {line}" for line in stage.describe()),
    ]


def _sizes(parameters: dict[str, nn.Parameter]) -> dict[str, int]:
    return {name: parameter.numel() for name, parameter in parameters.items()}


def _memory(model: nn.Module, recipe: Recipe) -> int:
    """Bytes on one process: what is trained is there four times, or five with its average."""
    copies = 4 + bool(recipe.ema_decay)

    def size(tensor: torch.Tensor) -> int:
        return tensor.numel() * tensor.element_size()

    return sum(size(p) * (copies if p.requires_grad else 1) for p in model.parameters())
