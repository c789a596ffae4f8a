"""The dry run of a training: the trained parameters, their memory, the loss and the data."""

from __future__ import annotations

import re
from collections import Counter

from torch import Tensor, nn

from seedx.terminal import new_table, table_text
from seedx.train.engine.parallel import optimizer_parameters
from seedx.train.recipe import Recipe
from seedx.train.stages.base import Stage


def describe(stage: Stage, recipe: Recipe) -> list[str]:
    """Lines of text about a stage; the layers of a stack are one line."""
    model = stage.model
    trained = optimizer_parameters(model)
    frozen = sum(parameter.numel() for parameter in model.parameters() if not parameter.requires_grad)
    groups: Counter[str] = Counter()
    for name, parameter in trained.items():
        groups[re.sub(r"\.\d+\.", ".*.", name)] += parameter.numel()
    width = max(map(len, groups))
    losses = " + ".join(f"{weight:g} {name}" for name, weight in stage.weights.items())
    return [
        f"{recipe.name}: {recipe.steps} steps of {recipe.global_batch_size} samples, lr {recipe.lr:g}, loss {losses}",
        "",
        *_origins(stage),
        f"trained: {groups.total():,} parameters; frozen: {frozen:,}",
        *(f"  {name:<{width}}  {size:>14,}" for name, size in groups.items()),
        "",
        f"memory before activations: {_memory(model, recipe) / 2**20:,.0f} MiB of weights, gradients, AdamW's moments"
        + (" and their moving average" if recipe.ema_decay else ""),
        "",
        "data:",
        *(f"  {line}" for line in stage.describe()),
    ]


def _origins(stage: Stage) -> list[str]:
    """A table of where each part starts from."""
    rows = stage.origins()
    if not rows:
        return []
    table = new_table("part", "tensors", "trained", "initial weights", words=("initial weights",))
    for row in rows:
        table.add_row(row.part, str(row.tensors), str(row.trained), row.text)
    return [*table_text(table).splitlines(), ""]


def _memory(model: nn.Module, recipe: Recipe) -> int:
    """Bytes on one process: a trained parameter is held four times, or five with its moving average."""
    copies = 4 + bool(recipe.ema_decay)

    def size(tensor: Tensor) -> int:
        return tensor.numel() * tensor.element_size()

    return sum(size(p) * (copies if p.requires_grad else 1) for p in model.parameters())
