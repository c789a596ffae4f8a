"""Optimizer, learning-rate schedule and moving average of the weights, for unsharded and sharded parameters."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from seedx.errors import SeedxError
from seedx.train.engine.parallel import local_shard, optimizer_parameters
from seedx.train.recipe import Recipe


def lr_factor(recipe: Recipe, step: int) -> float:
    """Factor of `lr` in a step (from 0): linear warm-up, then a cosine down to `min_lr_ratio` at the last step.

    Steps are those of the optimizer. (The release's schedule advances with each micro-batch, so that with accumulation
    its cosine ends early and rises again.)
    """
    if step < recipe.warmup_steps:
        return (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / max(1, recipe.steps - 1 - recipe.warmup_steps)
    return recipe.min_lr_ratio + (1 - recipe.min_lr_ratio) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def build_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW over what requires gradients; without weight decay of vectors (biases, norms, positions).

    Raises:
        SeedxError: no parameter requires gradients, or a pattern of `lr_factors` matches none that does.
    """
    named = optimizer_parameters(model)
    if not named:
        raise SeedxError(f"{recipe.name} trains nothing: no parameter of its model requires gradients")
    unused = [pattern for pattern in recipe.lr_factors if not any(fnmatchcase(name, pattern) for name in named)]
    if unused:
        raise SeedxError(
            f"the pattern {unused[0]!r} of lr_factors matches no trained parameter, such as {next(iter(named))!r}"
        )
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in named.items():
        factor = next((f for pattern, f in recipe.lr_factors.items() if fnmatchcase(name, pattern)), 1.0)
        groups.setdefault((factor, parameter.dim() > 1), []).append(parameter)
    settings = [
        {"params": p, "lr": recipe.lr * factor, "factor": factor, "weight_decay": recipe.weight_decay * decayed}
        for (factor, decayed), p in groups.items()
    ]
    return torch.optim.AdamW(settings, betas=recipe.betas, eps=recipe.eps, fused=True)


def set_learning_rate(optim: torch.optim.Optimizer, recipe: Recipe, step: int) -> float:
    """Set the learning rate of every parameter group for a step; returns that of a group without a factor."""
    rate = recipe.lr * lr_factor(recipe, step)
    for group in optim.param_groups:
        group["lr"] = rate * group["factor"]
    return rate


class ModelEMA:
    """Exponential moving average of a model's trained parameters; each rank averages its own shards."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values: dict[str, Tensor] = {name: p.detach().clone() for name, p in optimizer_parameters(model).items()}

    def update(self, model: nn.Module, step: int) -> None:
        decay = min(
            self.decay, (1 + step) / (10 + step)
        )  # a short average at first, or the initial weights would count for long
        averages = [local_shard(value) for value in self.values.values()]
        torch._foreach_lerp_(averages, [local_shard(p) for p in optimizer_parameters(model).values()], 1 - decay)
