"""What a language model regresses for pictures that it is asked for, beside what it should.

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
def regress(model: Model, items: Sequence[Item]) -> tuple[Tensor, Tensor]:
    """(N, Kp, D) as the language model has them after the right words, and the same of the true pictures.

    Each item draws one picture.
    """
    pairs = [_regress(model, items[start : start + CHUNK]) for start in range(0, len(items), CHUNK)]
    drawn, wanted = (torch.cat(side) for side in zip(*pairs, strict=True))
    return drawn, wanted


def _regress(model: Model, items: Sequence[Item]) -> tuple[Tensor, Tensor]:
    encoded = [prepare(map_images(item.example.messages, decode), model.tokenizer, model.config) for item in items]
    batch = collate([row for row in encoded if row], model.tokenizer.specials.pad)
    assert batch.targets is not None and len(batch.targets) == len(items)
    wanted = pool_features(model.seedx.encode_images(batch.targets), model.config.vision.pool)
    return model.seedx.drawn(batch), wanted


def relative_errors(drawn: Tensor, wanted: Tensor) -> list[float]:
    """Of each picture, the squared error in units of the pictures' variance: 1 is what their mean would have."""
    spread = (wanted - wanted.mean(dim=0)).square().sum(dim=(1, 2)).mean()
    return ((drawn - wanted).square().sum(dim=(1, 2)) / spread).tolist()


def with_norms_of(drawn: Tensor, wanted: Tensor) -> Tensor:
    """Each feature with its direction, and the length that the true ones have on average in its place."""
    return drawn / drawn.norm(dim=-1, keepdim=True) * wanted.norm(dim=-1, keepdim=True).mean(dim=0)
