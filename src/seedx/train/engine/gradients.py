"""Gradient accumulation: the gradient of the global batch's loss, over micro-batches and ranks (see `stages/base.py`).

rank 0    micro-batch 0: 3 supervised tokens, 1: 5      one loss over 3 + 5 + 2 + 6 = 16 tokens:
rank 1    micro-batch 0: 2, 1: 6                        each backward is of its own sum / 16, and gradients add up
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from seedx.model.losses import weighted_total
from seedx.train.engine.parallel import World
from seedx.train.recipe import Recipe
from seedx.train.stages.base import BY_SOURCE, Stage, to_device


def accumulate(
    stage: Stage, micro: Iterable[Any], recipe: Recipe, world: World
) -> tuple[dict[str, float], Counter[str]]:
    """Accumulate the gradient of the global batch's loss in the model's parameters.

    Args:
        micro: this rank's micro-batches, the same number on every rank.

    Returns:
        Losses by name, means over the global batch, and "loss", their weighted sum; and the global batch's counts.
    """
    micro = list(micro)
    counts = totals(_sum(stage.counts(batch) for batch in micro), world)
    sums: Counter[str] = Counter()
    with warnings.catch_warnings():
        # FSDP2 warns at each forward pass of a module that returns a view: none is changed in place here.
        warnings.filterwarnings("ignore", message=".*returned a view tensor")
        for batch in micro:
            with attention_kernels(world.device):  # backward, too: with checkpointing it runs forward passes
                with autocast(recipe, world.device):
                    losses = stage.losses(to_device(batch, world.device))
                weighted_total(losses, counts, stage.weights).backward()
            sums.update(as_numbers(losses))
    values = means(totals(sums, world), counts)
    return values | {"loss": sum(weight * values[name] for name, weight in stage.weights.items())}, counts


def as_numbers(losses: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """Scalars by name, fetched from the device at once."""
    return dict(zip(losses, torch.stack([value.detach() for value in losses.values()]).tolist(), strict=True))


def means(sums: Mapping[str, float], counts: Mapping[str, float]) -> dict[str, float]:
    """Losses of a global batch; a source that is not in it has none."""
    kept = [name for name in sums if counts[name] or not name.startswith(BY_SOURCE)]
    return {name: sums[name] / max(1, counts[name]) for name in kept}


def autocast(recipe: Recipe, device: torch.device) -> AbstractContextManager[Any]:
    """The precision of a forward pass."""
    return torch.autocast(device.type, torch.bfloat16, enabled=recipe.bf16)


def attention_kernels(device: torch.device) -> AbstractContextManager[Any]:
    """Plain products on a CPU, where the backward pass of fused attention is slower by half."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def _sum(counters: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    return total


def totals(counter: Mapping[str, float], world: World) -> Counter[str]:
    """Sum over all ranks, which have the same names."""
    names = sorted(counter)
    numbers = torch.tensor([counter[name] for name in names], dtype=torch.float64, device=world.device)
    return Counter(dict(zip(names, world.sum(numbers).tolist(), strict=True)))
