"""What a language model regresses for pictures that it is asked for, beside what it should.

N pictures, K placeholders each, Kp pooled features of width D each
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seedx.checkpoint import Model
from seedx.collate import collate
from seedx.messages import Image, Message
from seedx.model.vision import pool_features
from seedx.prompt import prepare
from seedx.stickers.scenes import render
from seedx.stickers.tasks import Example

CHUNK = 32


@torch.no_grad()
def regress(model: Model, examples: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """(N, Kp, D) as the language model has them after the right words, and the same of the true pictures.

    Each example draws one picture.
    """
    pairs = [_regress(model, examples[start : start + CHUNK]) for start in range(0, len(examples), CHUNK)]
    drawn, wanted = (torch.cat(side) for side in zip(*pairs, strict=True))
    return drawn, wanted


def _regress(model: Model, examples: Sequence[Example]) -> tuple[Tensor, Tensor]:
    encoded = [prepare(pictured(example), model.tokenizer, model.config) for example in examples]
    batch = collate([row for row in encoded if row], model.tokenizer.specials.pad)
    seedx, config = model.seedx, model.config
    assert batch.targets is not None and len(batch.targets) == len(examples)
    embeds = seedx.embed(batch.input_ids, batch.read_mask, batch.tiles, batch.tile_positions)
    states = seedx.language.states(embeds, batch.position_ids)[batch.draw_mask]
    drawn = seedx.draw_features(states.unflatten(0, (-1, config.bridge.queries)))
    return drawn, pool_features(seedx.encode_images(batch.targets), config.vision.pool)


def pictured(example: Example) -> list[Message]:
    """The example's messages with its scenes rendered."""
    return [
        Message(m.role, tuple(Image(render(p.image)) if isinstance(p, Image) else p for p in m.content))
        for m in example.messages
    ]


def relative_errors(drawn: Tensor, wanted: Tensor) -> list[float]:
    """Of each picture, the squared error in units of the pictures' variance: 1 is what their mean would have."""
    spread = (wanted - wanted.mean(dim=0)).square().sum(dim=(1, 2)).mean()
    return ((drawn - wanted).square().sum(dim=(1, 2)) / spread).tolist()


def with_norms_of(drawn: Tensor, wanted: Tensor) -> Tensor:
    """Each feature with its direction, and the length that the true ones have on average in its place."""
    return drawn / drawn.norm(dim=-1, keepdim=True) * wanted.norm(dim=-1, keepdim=True).mean(dim=0)
