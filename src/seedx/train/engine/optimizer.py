"""The optimiser, its schedule, and the average of the weights. All of it works on whole and on sharded parameters."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from seedx.errors import SeedxError
from seedx.train.engine.parallel import local, optimised
from seedx.train.recipe import Recipe


def schedule(recipe: Recipe, step: int) -> float:
    """The factor of a step (counted from 0): linear warm-up, then a cosine down to `min_ratio` at the last step.

    It is asked once for each step of the optimiser. (The release asks once for each micro-batch, so that accumulation
    ends its cosine early and then climbs back.)
    """
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - 1 - recipe.warmup)
    return recipe.min_ratio + (1 - recipe.min_ratio) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW over what requires gradients; vectors (biases, norms, positions) are not decayed.

    Raises:
        SeedxError: nothing is trained, or a pattern of `lr_factors` fits nothing that is.
    """
    named = optimised(model)
    if not named:
        raise SeedxError(f"{recipe.name} trains nothing: no parameter of its model requires gradients")
    unused = [pattern for pattern in recipe.lr_factors if not any(fnmatchcase(name, pattern) for name in named)]
    if unused:
        raise SeedxError(
            f"the pattern {unused[0]!r} of lr_factors fits no trained parameter, such as {next(iter(named))!r}"
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


def set_rates(optim: torch.optim.Optimizer, recipe: Recipe, step: int) -> float:
    """Give every group its learning rate of this step; returns the rate of a group without a factor."""
    rate = recipe.lr * schedule(recipe, step)
    for group in optim.param_groups:
        group["lr"] = rate * group["factor"]
    return rate


class Average:
    """Exponential moving average of a model's trained parameters; of sharded ones, each rank averages its shards."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values: dict[str, Tensor] = {name: p.detach().clone() for name, p in optimised(model).items()}

    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))  # or the random start would weigh for long
        averages = [local(value) for value in self.values.values()]
        torch._foreach_lerp_(averages, [local(p) for p in optimised(model).values()], 1 - decay)
