"""The one home of the loss: counts, sums and weights, by hand."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from seedx.batch import Batch
from seedx.config import BridgeConfig
from seedx.model.losses import Losses, loss_counts, loss_weights, next_tokens, regression, weighted_total
from small import SMALL


def batch(labels: list[list[int]], drawn: int) -> Batch:
    ids = torch.zeros(len(labels), len(labels[0]), dtype=torch.int64)
    none = torch.zeros_like(ids, dtype=torch.bool)
    targets = torch.zeros(drawn, 16, 32) if drawn else None
    return Batch(ids, torch.tensor(labels), ids, none, none, None, None, targets)


def test_the_first_label_is_no_target() -> None:
    following, supervised = next_tokens(torch.tensor([[4, 5, -100, 7]]))
    assert following.tolist() == [[5, -100, 7]] and supervised.tolist() == [[True, False, True]]


def test_counts() -> None:
    assert loss_counts(batch([[4, 5, -100, 7], [-100, -100, -100, 7]], 0), SMALL) == {"text": 3, "image": 0}
    assert loss_counts(batch([[-100] * 4], 2), SMALL) == {"text": 0, "image": 2 * 4 * 32}
    cosine = dataclasses.replace(SMALL, bridge=dataclasses.replace(SMALL.bridge, regression="cosine"))
    assert loss_counts(batch([[-100] * 4], 2), cosine) == {"text": 0, "image": 2 * 4}


def test_total_is_the_weighted_sum_of_means() -> None:
    sums = {"text": torch.tensor(6.0), "image": torch.tensor(8.0), "logged": torch.tensor(9.0)}
    counts = {"text": 3, "image": 4, "logged": 1}
    assert weighted_total(sums, counts, loss_weights(BridgeConfig())).item() == 1 * 6 / 3 + 6 * 8 / 4
    losses = Losses(sums, counts, loss_weights(BridgeConfig(text_weight=2.0, image_weight=0.5)))
    assert losses.total.item() == 2 * 2 + 0.5 * 2 and losses.mean("image").item() == 2


def test_pieces_add_up_by_the_counts_of_the_whole() -> None:
    pieces = [{"text": torch.tensor(1.0)}, {"text": torch.tensor(5.0)}]
    assert sum(weighted_total(piece, {"text": 4}, {"text": 2.0}) for piece in pieces) == 3


def test_nothing_supervised_is_a_loss_of_zero() -> None:
    assert weighted_total({"text": torch.tensor(0.0)}, {"text": 0}, {"text": 1.0}) == 0


@pytest.mark.parametrize(("kind", "expected"), [("mse", 2 * 4 * 32 * 4.0), ("cosine", 0.0)])
def test_regression(kind: str, expected: float) -> None:
    drawn, target = torch.full((2, 4, 32), 3.0), torch.ones(2, 4, 32)
    error = regression(drawn, target, dataclasses.replace(SMALL.bridge, regression=kind)).sum()
    assert error.item() == pytest.approx(expected, abs=1e-4)
