"""The de-tokenizer's stages on the pictures of a recipe's `[[data]]`, encoded by the frozen parts in every step.

Any format will do. The last picture of a conversation is the target; in the second stage the one before it, if there is
one, is its condition: the source of an edit. Text is not used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from seedx.batch import Encoded
from seedx.config import from_dict
from seedx.data.pictures import decode
from seedx.data.stream import Row
from seedx.errors import SeedxError
from seedx.images import TRAINING_MAX_PIXELS, Source
from seedx.messages import Message, images
from seedx.model.vision import pool_features
from seedx.tiling import resized, to_picture
from seedx.train.recipe import Recipe
from seedx.train.stages import by_source
from seedx.train.stages.base import rows_of, to_device
from seedx.train.stages.detokenizer import DenoisingBatch, DetokenizerStage, Options, Randomness
from seedx.train.stages.packed_data import PackedDataStage

SHOWN = 4  # samples


@dataclass
class Pictures:
    targets: Tensor  # (B, 3, S, S) uint8
    conditions: Tensor  # (B, 3, S, S) uint8; grey where there is none
    conditioned: Tensor  # (B,) bool
    noise: Tensor  # these four as in `Randomness`
    timesteps: Tensor
    errors: Tensor
    dropped: Tensor
    sources: Tensor  # (B,) int64, numbers of `PackedDataStage.sources`


@dataclass(frozen=True)
class Encode:
    """Messages -> square pictures of `side` pixels. A document has one token, and so has a row: a row is a sample."""

    side: int
    condition: bool
    max_pixels: int = TRAINING_MAX_PIXELS

    def __call__(self, messages: list[Message]) -> Encoded:
        found = [image.image for image in images(messages)]
        if not found:
            raise SeedxError("this sample has no picture to draw")
        given = [self._square(image)[None] for image in found[-2:-1] if self.condition]
        token, off = torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.bool)
        target = self._square(found[-1])[None]
        return Encoded(token, token, token, off, off, tiles=given[0] if given else None, targets=target)

    def _square(self, image: Source) -> Tensor:
        """(3, S, S) uint8: a centre crop, resized."""
        pixels = decode(image, max_pixels=self.max_pixels)
        height, width = pixels.shape[1:]
        edge = min(height, width)
        top, left = (height - edge) // 2, (width - edge) // 2
        return resized(pixels[:, top : top + edge, left : left + edge], (self.side, self.side))


class FirstStage(PackedDataStage, DetokenizerStage):
    """Stage 1: pictures from their own features."""

    max_seq_len = 1

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        DetokenizerStage.__init__(self, recipe, folder, from_dict(Options, recipe.options, "options."))
        self.side = self.model.config.image_size
        self.encode = Encode(self.side, self.condition, recipe.max_pixels)
        self.shown: Pictures | None = None

    def batch_of(self, rows: Sequence[Row], seeds: Sequence[str]) -> Pictures:
        targets = torch.cat([row.encoded.targets for row in rows if row.encoded.targets is not None])
        given = [row.encoded.tiles for row in rows]
        grey = torch.full_like(targets[:1], 128)
        random = [self.randomness(1, self.side // self.model.vae.factor, _generator(seed)) for seed in seeds]
        batch = Pictures(
            targets,
            torch.cat([grey if tiles is None else tiles for tiles in given]),
            torch.tensor([tiles is not None for tiles in given]),
            **{name: torch.cat([getattr(one, name) for one in random]) for name in Randomness.__dataclass_fields__},
            sources=by_source.of_tokens(rows, self.sources, self.max_seq_len)[:, 0],
        )
        self.shown = self.shown or rows_of(batch, 0, SHOWN)
        return batch

    def counts(self, batch: Pictures) -> dict[str, int]:  # type: ignore[override]
        by_picture = by_source.counts(self.sources, "drawing", batch.sources, batch.noise[0].numel())
        return {"drawing": batch.noise.numel(), **by_picture, "samples": len(batch.targets)}

    def losses(self, batch: Pictures) -> dict[str, Tensor]:  # type: ignore[override]
        errors = self.errors(self.encoded(batch))
        return {"drawing": errors.sum(), **by_source.sums(self.sources, "drawing", errors, batch.sources)}

    @torch.no_grad()
    def encoded(self, batch: Pictures) -> DenoisingBatch:
        """Encode by the frozen parts. The autoencoder stays in float32: SDXL's overflows in less."""
        random = Randomness(batch.noise, batch.timesteps, batch.errors, batch.dropped)
        with torch.autocast(batch.targets.device.type, enabled=False):
            latents = self.model.vae.encode(_signed(batch.targets))
            condition = self.model.condition(_signed(batch.conditions)) if self.condition else None
        if condition is not None:
            condition = condition * batch.conditioned[:, None, None, None]
        return self.denoising_batch(latents, self.features(batch.targets), condition, random)

    def features(self, pixels: Tensor) -> Tensor:
        """(B, 3, S, S) uint8 -> (B, Kp, D)."""
        config = self.vision.to(pixels.device).config
        tiles = F.interpolate(pixels, size=(config.image_size,) * 2, mode="bicubic", antialias=True)
        return pool_features(self.vision(tiles), config.pool).float()

    def sample(self, step: int) -> list[Image.Image]:
        """The first pictures of the run, then those decoded from their features."""
        if self.shown is None:
            return []
        batch = to_device(self.shown, self.model.device)
        condition = self.encoded(batch).condition
        return [*map(to_picture, batch.targets.float() / 255), *self.decode(self.features(batch.targets), condition)]


class SecondStage(FirstStage):
    """Stage 2: edited pictures from their features and the source, and pictures without a condition."""

    condition = True


def _signed(pixels: Tensor) -> Tensor:
    """uint8 -> -1..1, as the autoencoder reads them."""
    return pixels.float() / 127.5 - 1


def _generator(seed: str) -> torch.Generator:
    digest = hashlib.blake2b(seed.encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))
