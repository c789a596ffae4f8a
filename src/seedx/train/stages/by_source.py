"""Losses by source of the data: sums and counts with names of their own, which are logged and never minimised.

    "source/NAME/text"    of the loss "text", the part of the documents of the data sets called NAME

Each value of a loss (a token's, a picture's) has the number of its document's source, whatever row, micro-batch or rank
it is in; so these sums add up to the loss's own. Every batch has all names, as collectives need it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seedx.batch import Batch
from seedx.data.stream import Row
from seedx.model.losses import next_tokens
from seedx.train.recipe import Recipe
from seedx.train.stages.base import BY_SOURCE


def names(recipe: Recipe) -> list[str]:
    """The names of the sources of a recipe, those for validation included; a source's number is its place here."""
    return list(dict.fromkeys(data.name for data in (*recipe.data, *recipe.validation.data)))


def sums(sources: Sequence[str], loss: str, values: Tensor, numbers: Tensor) -> dict[str, Tensor]:
    """
    Args:
        values: (N,) parts of the loss.
        numbers: (N,) the number of each one's source.
    """
    totals = values.new_zeros(len(sources)).index_add_(0, numbers.to(values.device), values.detach())
    return {f"{BY_SOURCE}{name}/{loss}": total for name, total in zip(sources, totals, strict=True)}


def counts(sources: Sequence[str], loss: str, numbers: Tensor, each: int = 1) -> dict[str, int]:
    """What these sums are divided by; `each`: values of the loss in one part."""
    found = torch.bincount(numbers, minlength=len(sources)).tolist()
    return {f"{BY_SOURCE}{name}/{loss}": count * each for name, count in zip(sources, found, strict=True)}


def of_tokens(rows: Sequence[Row], sources: Sequence[str], length: int) -> Tensor:
    """(B, length) the number of the source of each token's document; padding belongs to the last document.

    Documents of sources 0, 2 in a row of 6 tokens, whose positions are 0 1 2 0 1: 0 0 0 2 2 2
    """
    made = []
    for row in rows:
        numbers = torch.tensor([sources.index(name) for name in row.names])
        document = (row.encoded.position_ids == 0).cumsum(0) - 1
        made.append(torch.nn.functional.pad(document, (0, length - len(document)), value=len(numbers) - 1))
        made[-1] = numbers[made[-1]]
    return torch.stack(made)


def of_labels(batch: Batch, queries: int) -> tuple[Tensor, Tensor]:
    """The numbers for every supervised token and for every drawn image, in the order of `Losses.each`."""
    assert batch.sources is not None
    _, supervised = next_tokens(batch.labels)
    return batch.sources[:, 1:][supervised], batch.sources[batch.draw_mask].view(-1, queries)[:, 0]
