"""The losses of the language model and its resamplers: what is supervised, sums, counts and weights.

    "text"    next-token cross-entropy of every supervised token, in nats
    "image"   error of the regressed features against the pooled features of the target, see `regression`

Sums and counts add up over micro-batches and ranks, so the loss of a batch does not depend on how it is split:

    total = sum over names of  weight * (sum over the batch) / (count over the batch)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from seedx.batch import IGNORE, Batch
from seedx.config import BridgeConfig, Config
from seedx.errors import SeedxError


@dataclass(frozen=True)
class Losses:
    """The losses of one batch by name.

    Attributes:
        sums: over what is supervised, scalars.
        counts: number of supervised tokens, and of regressed components ("mse") or features ("cosine").
        weights: of the means in the total.
        each: without gradients, the parts of the sums: of every supervised token, and of every drawn image, in their
            order in the batch.
    """

    sums: dict[str, Tensor]
    counts: dict[str, int]
    weights: dict[str, float]
    each: dict[str, Tensor] = field(default_factory=dict)

    def mean(self, name: str) -> Tensor:
        return self.sums[name] / max(self.counts[name], 1)

    @property
    def total(self) -> Tensor:
        return weighted_total(self.sums, self.counts, self.weights)


def weighted_total(sums: Mapping[str, Tensor], counts: Mapping[str, float], weights: Mapping[str, float]) -> Tensor:
    """The weighted sum of the means, a scalar; a loss with a count of 0 adds nothing.

    Args:
        counts: over the global batch; `sums` may be of a part of it, whose share of the loss this then is.
        weights: of the losses that are minimised; further ones in `sums` are left out.
    """
    parts = [weight / max(1, counts[name]) * sums[name] for name, weight in weights.items()]
    return torch.stack(parts).sum()


def loss_weights(config: BridgeConfig) -> dict[str, float]:
    return {"text": config.text_weight, "image": config.image_weight}


def loss_counts(batch: Batch, config: Config) -> dict[str, int]:
    """What the sums of a batch are divided by: known without a forward pass."""
    drawn = 0 if batch.targets is None else len(batch.targets)
    _, supervised = next_tokens(batch.labels)
    return {"text": int(supervised.sum()), "image": drawn * values_of_an_image(config)}


def values_of_an_image(config: Config) -> int:
    """Regressed values of one image: components, or features whose cosine is taken."""
    return config.vision.pooled * (config.vision.output_dim if config.bridge.regression == "mse" else 1)


def next_tokens(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Labels (B, T) -> what the states 0 .. T-2 predict (B, T - 1), and whether it is supervised, bool.

    Labels [-100 5 6 7] give [5 6 7], all supervised: the state of the first token predicts the second.
    """
    following = labels[:, 1:]
    return following, following != IGNORE


def regression(drawn: Tensor, target: Tensor, config: BridgeConfig) -> Tensor:
    """Features (M, Kp, D) -> summed error of each image (M,): squared by component ("mse"), or 1 - cosine by feature
    ("cosine").

    Raises:
        SeedxError: `config.regression` is neither "mse" nor "cosine".
    """
    if config.regression == "mse":
        return F.mse_loss(drawn, target, reduction="none").sum((1, 2))
    if config.regression == "cosine":
        return (1 - F.cosine_similarity(drawn, target, dim=-1)).sum(1)
    raise SeedxError(f'the regression loss is "mse" or "cosine", not {config.regression!r}')
