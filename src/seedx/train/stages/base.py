"""What a stage is to the loop, and what stages have in common.

A stage owns a model, the data of each step, and sums of losses. The loop divides each sum by its count over the whole
global batch: all micro-batches of all ranks. So a loss is the mean over what it supervises, never a mean of means, and
the same rows give the same gradients in any number of pieces:

    loss = sum over names of  weight * (sum over the global batch) / (count over the global batch)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from seedx.data.loader import left_to_parent
from seedx.data.sample_errors import Faults
from seedx.train.recipe import Recipe

B = TypeVar("B")
TALLIES = ("samples", "tokens")  # counts that are of no loss: the log tells them by the second


@dataclass
class Step:
    """What one rank learns from in one step.

    Attributes:
        micro: its micro-batches, of one forward each.
        state: where this rank's data is after this step, JSON-able.
        keys: what is in it, to be found again.
        faults: what was read for it, good and bad.
    """

    micro: list[Any]
    state: Any = None
    keys: list[str] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)


class Stage(Protocol):
    """
    Attributes:
        model: holds what is trained (`requires_grad`) and whatever the losses need.
        weights: of the losses that are minimised, by name.
    """

    model: nn.Module
    weights: dict[str, float]

    def batches(self, step: int, state: Any, rank: int, ranks: int) -> Iterator[Step]:
        """A rank's steps from `step` on; `state` is `merge_states` of the ranks', None at the beginning."""

    def merge_states(self, states: list[Any]) -> Any:
        """One state of the ranks' states after the same step, good for any number of ranks."""

    def counts(self, batch: Any) -> dict[str, int]:
        """What each loss's sum is divided by, of a micro-batch; and "samples" and "tokens", if there are such."""

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """Sums over a micro-batch by the names of `counts`; those without a weight are logged only."""

    def sample(self, step: int) -> list[Image.Image]:
        """Pictures that show how far it is; none, if there is nothing to see."""

    def describe(self) -> list[str]:
        """Lines about the data, for a look before training."""

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write what was trained into a model's folder. `model` is a whole copy of the stage's, and may be changed."""


class Stepwise:
    """Base of the stages whose global batch is a function of the seed and the step alone: nothing to remember.

    A subclass has `recipe` and `batch(step)`, which may use torch's global generator: it is seeded before. A batch is a
    tensor, or a dataclass of tensors, with a row for each sample; None in it stays.
    """

    recipe: Recipe

    def batch(self, step: int) -> Any:
        raise NotImplementedError

    def batches(self, step: int, state: Any, rank: int, ranks: int) -> Iterator[Step]:
        steps = _Steps(self, rank, ranks)
        workers = self.recipe.workers
        loader = DataLoader(
            steps,
            batch_size=None,
            sampler=range(step, self.recipe.steps),
            num_workers=workers,
            collate_fn=_as_it_is,
            worker_init_fn=left_to_parent,
        )
        yield from loader

    def merge_states(self, states: list[Any]) -> None:
        return None

    def sample(self, step: int) -> list[Image.Image]:
        return []

    def describe(self) -> list[str]:
        return [f"batches of {self.recipe.batch} made up from the seed {self.recipe.seed} and the step"]


class _Steps(Dataset[Step]):
    """Step n by its number, one rank's part of it."""

    def __init__(self, stage: Stepwise, rank: int, ranks: int) -> None:
        self.stage, self.rank, self.ranks = stage, rank, ranks

    def __getitem__(self, step: int) -> Step:
        recipe = self.stage.recipe
        torch.manual_seed(mixed(recipe.seed, step))
        batch = self.stage.batch(step)
        rows = recipe.batch // self.ranks
        size = recipe.micro_rows(self.ranks)
        starts = range(self.rank * rows, (self.rank + 1) * rows, size)
        return Step([part(batch, start, start + size) for start in starts], keys=[f"{recipe.name}, step {step}"])


def mixed(seed: int, step: int, rank: int = 0) -> int:
    """A seed of its own for every step and rank."""
    return (seed * 1_000_003 + step) * 1009 + rank


def part(batch: B, start: int, end: int) -> B:
    """Rows `start` to `end` of a tensor, or of every tensor of a dataclass."""
    return mapped(batch, lambda tensor: tensor[start:end])


def moved(batch: B, device: torch.device) -> B:
    return mapped(batch, lambda tensor: tensor.to(device, non_blocking=True))


def mapped(batch: B, function: Callable[[Tensor], Tensor]) -> B:
    """The batch with `function` of each of its tensors."""
    if isinstance(batch, Tensor):
        return function(batch)  # type: ignore[return-value]
    values = vars(batch)
    changed = {name: function(value) for name, value in values.items() if isinstance(value, Tensor)}
    return dataclasses.replace(batch, **changed)  # type: ignore[type-var]


def _as_it_is(item: Any) -> Any:
    return item
