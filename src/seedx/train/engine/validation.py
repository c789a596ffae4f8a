"""Validation: the losses on held-out data every so many steps, the best checkpoint, and when to stop early.

The rows are read again each time, in the same order and with the same random choices, whatever the number of ranks.
Each rank evaluates its share; one that has fewer micro-batches runs its last one again without counting it, since a
forward pass of a sharded model is a collective.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch

from seedx.train.engine.gradients import as_numbers, attention_kernels, autocast, means, totals
from seedx.train.engine.parallel import World
from seedx.train.recipe import Recipe
from seedx.train.stages.base import Stage, to_device


@dataclass
class Validation:
    """What the validations of a run have found; part of its checkpoints.

    Attributes:
        best: the lowest loss; None before the first validation.
        since: validations after the best one.
    """

    best: float | None = None
    since: int = 0

    def add(self, loss: float) -> bool:
        """Note a loss; whether it is the lowest so far. One that is not a number never is."""
        better = loss == loss and (self.best is None or loss < self.best)
        self.best, self.since = (loss, 0) if better else (self.best, self.since + 1)
        return better

    def stops(self, patience: int) -> bool:
        return patience > 0 and self.since >= patience

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "since": self.since}


@torch.no_grad()
def evaluate(stage: Stage, micro: list[Any], recipe: Recipe, world: World) -> dict[str, float]:
    """Losses by name, means over all ranks' micro-batches, and "loss", their weighted sum.

    Args:
        micro: of all ranks, the same on each.
    """
    own = micro[world.rank :: world.size]
    rounds = -(-len(micro) // world.size)
    counts: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    training = stage.model.training
    stage.model.eval()
    try:
        for i in range(rounds):
            batch = own[i] if i < len(own) else micro[-1]
            with attention_kernels(world.device), autocast(recipe, world.device):
                losses = stage.losses(to_device(batch, world.device))
            if i < len(own):
                counts.update(stage.counts(batch))
                sums.update(as_numbers(losses))
            elif not sums:
                sums.update(dict.fromkeys(losses, 0.0))
                counts.update(dict.fromkeys(stage.counts(batch), 0))
    finally:
        stage.model.train(training)
    values = means(totals(sums, world), totals(counts, world))
    return values | {"loss": sum(weight * values[name] for name, weight in stage.weights.items())}
