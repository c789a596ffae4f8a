"""The features that a language model predicts for pictures to draw, and the true features.

N pictures, K placeholders each, Kp pooled features of width D each
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seedx.batch import collate
from seedx.checkpoint.parts import Model
from seedx.data.pictures import decode
from seedx.messages import map_images
from seedx.model.vision import pool_features
from seedx.prompt import prepare
from seedx_stickers.evaluation.item import Item

CHUNK = 32


@torch.no_grad()
def predicted_and_true(model: Model, items: Sequence[Item]) -> tuple[Tensor, Tensor]:
    """Predicted (N, Kp, D) and true features (N, Kp, D), with teacher forcing. Each item draws one picture."""
    pairs = [_predicted_and_true(model, items[start : start + CHUNK]) for start in range(0, len(items), CHUNK)]
    predicted, true = (torch.cat(side) for side in zip(*pairs, strict=True))
    return predicted, true


def _predicted_and_true(model: Model, items: Sequence[Item]) -> tuple[Tensor, Tensor]:
    encoded = [prepare(map_images(item.example.messages, decode), model.tokenizer, model.config) for item in items]
    batch = collate([row for row in encoded if row], model.tokenizer.specials.pad)
    assert batch.targets is not None and len(batch.targets) == len(items)
    true = pool_features(model.seedx.encode_images(batch.targets), model.config.vision.pool)
    return model.seedx.drawn(batch), true


def relative_errors(predicted: Tensor, true: Tensor) -> list[float]:
    """The squared error of each picture in units of the variance of all: 1 is the error of the mean picture."""
    variance = (true - true.mean(dim=0)).square().sum(dim=(1, 2)).mean()
    errors: list[float] = ((predicted - true).square().sum(dim=(1, 2)) / variance).tolist()
    return errors


def with_norms_of(predicted: Tensor, true: Tensor) -> Tensor:
    """The predicted features rescaled to the mean norm of the true ones, position by position."""
    norms: Tensor = true.norm(dim=-1, keepdim=True).mean(dim=0)
    rescaled: Tensor = predicted / predicted.norm(dim=-1, keepdim=True) * norms
    return rescaled
