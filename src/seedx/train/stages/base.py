"""The training-stage protocol, and what stages have in common.

A stage owns a model, the data of each step, and sums of losses. The trainer divides each sum by its count over the
global batch: all micro-batches of all ranks. So a loss is the mean over all supervised values, never a mean of means,
and the same rows give the same gradients in any number of micro-batches:

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

from seedx.data.loader import leave_process_group
from seedx.data.sample_errors import SampleErrors
from seedx.errors import SeedxError
from seedx.train.engine.components import Origin
from seedx.train.recipe import Recipe

B = TypeVar("B")
TALLIES = ("samples", "tokens")  # counts of no loss: they are logged as throughput
BY_SOURCE = "source/"  # begins the names of losses by source, "source/NAME/text": see `by_source.py`


@dataclass
class Step:
    """The data of one step on one rank.

    Attributes:
        micro: its micro-batches, of one forward each.
        state: position of this rank's data after the step, JSON types.
        keys: names of its samples, to find them again.
        sample_errors: samples read for it, good and bad.
    """

    micro: list[Any]
    state: Any = None
    keys: list[str] = field(default_factory=list)
    sample_errors: SampleErrors = field(default_factory=SampleErrors)


class Stage(Protocol):
    """
    Attributes:
        model: holds the trained parameters (`requires_grad`) and whatever the losses need.
        weights: loss weights by name.
    """

    model: nn.Module
    weights: dict[str, float]

    def batches(self, step: int, state: Any, rank: int, ranks: int) -> Iterator[Step]:
        """A rank's steps from `step` on; `state` is that of `merge_states`, or None at the beginning."""

    def merge_states(self, states: list[Any]) -> Any:
        """Merge the ranks' states after the same step into one that any number of ranks can resume from."""

    def counts(self, batch: Any) -> dict[str, int]:
        """Number of supervised values of each loss in a micro-batch; and "samples" and "tokens", where they apply."""

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """Sums of the losses over a micro-batch, by name; those without a weight are only logged. The same names for
        every batch."""

    def sample(self, step: int) -> list[Image.Image]:
        """Sample images for the log; may be empty."""

    def describe(self) -> list[str]:
        """Lines about the data, for a dry run."""

    def validation_batches(self) -> list[Any]:
        """The micro-batches of `[validation]`, the same on every rank and at every call."""

    def origins(self) -> list[Origin]:
        """Where the initial weights of each part come from; may be empty."""

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the trained parts, or an adapter, into a model folder. `model` is an unsharded copy, which may be
        changed."""


class GeneratedDataStage:
    """Base of the stages that generate a global batch from the seed and the step alone: their data has no state.

    A subclass has `recipe` and `batch(step)`, which may use torch's global generator: it is seeded before. A batch is a
    tensor, or a dataclass of tensors, with a row for each sample; fields that are None stay None.
    """

    recipe: Recipe

    def batch(self, step: int) -> Any:
        raise NotImplementedError

    def rows(self, step: int, start: int, end: int) -> Any:
        """Rows `start` to `end` of a batch. A stage whose rows take long to generate makes these alone."""
        return rows_of(self.batch(step), start, end)

    def batches(self, step: int, state: Any, rank: int, ranks: int) -> Iterator[Step]:
        yield from DataLoader(
            _Steps(self, rank, ranks),
            batch_size=None,
            sampler=range(step, self.recipe.steps),
            num_workers=self.recipe.workers,
            collate_fn=_identity,
            worker_init_fn=leave_process_group,
        )

    def merge_states(self, states: list[Any]) -> None:
        return None

    def sample(self, step: int) -> list[Image.Image]:
        return []

    def origins(self) -> list[Origin]:
        return []

    def validation_batches(self) -> list[Any]:
        raise SeedxError(f"the stage {self.recipe.stage!r} makes its own data: leave [validation] out")

    def describe(self) -> list[str]:
        return [f"batches of {self.recipe.global_batch_size} generated from the seed {self.recipe.seed} and the step"]


class _Steps(Dataset[Step]):
    """One rank's part of each step, by the step's number."""

    def __init__(self, stage: GeneratedDataStage, rank: int, ranks: int) -> None:
        self.stage, self.rank, self.ranks = stage, rank, ranks

    def __getitem__(self, step: int) -> Step:
        recipe = self.stage.recipe
        torch.manual_seed(step_seed(recipe.seed, step))
        count = recipe.global_batch_size // self.ranks
        size = recipe.micro_rows(self.ranks)
        rows = self.stage.rows(step, self.rank * count, (self.rank + 1) * count)
        micro = [rows_of(rows, start, start + size) for start in range(0, count, size)]
        return Step(micro, keys=[f"{recipe.name}, step {step}"])


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """A seed for every step and rank."""
    return (seed * 1_000_003 + step) * 1009 + rank


def rows_of(batch: B, start: int, end: int) -> B:
    """Rows `start` to `end` of a tensor, or of every tensor of a dataclass."""
    return map_tensors(batch, lambda tensor: tensor[start:end])


def to_device(batch: B, device: torch.device) -> B:
    return map_tensors(batch, lambda tensor: tensor.to(device, non_blocking=True))


def map_tensors(batch: B, function: Callable[[Tensor], Tensor]) -> B:
    """Apply `function` to every tensor of a batch."""
    if isinstance(batch, Tensor):
        return function(batch)  # type: ignore[return-value]
    values = vars(batch)
    changed = {name: function(value) for name, value in values.items() if isinstance(value, Tensor)}
    return dataclasses.replace(batch, **changed)  # type: ignore[type-var]


def _identity(item: Any) -> Any:
    return item
