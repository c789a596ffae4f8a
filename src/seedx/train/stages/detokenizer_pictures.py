"""The de-tokenizer's stages on the pictures of a recipe's `[[data]]`, encoded by the frozen parts as they come.

Any format will do. The last picture of a conversation is the one to draw; in the second stage the one before it, if
there is one, is its condition: an edit's source. Words are not used.
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
from seedx.images import Source
from seedx.messages import Message, images
from seedx.model.vision import pool_features
from seedx.tiling import resized, to_picture
from seedx.train.recipe import Recipe
from seedx.train.stages.base import moved, part
from seedx.train.stages.detokenizer import Chances, DetokenizerStage, Noised, Options
from seedx.train.stages.rows import RowStage

SHOWN = 4  # samples


@dataclass
class Pictures:
    targets: Tensor  # (B, 3, S, S) uint8
    conditions: Tensor  # (B, 3, S, S) uint8; grey where there is none
    conditioned: Tensor  # (B,) bool
    noise: Tensor  # these four as in `Chances`
    timesteps: Tensor
    errors: Tensor
    dropped: Tensor


@dataclass(frozen=True)
class Encode:
    """Messages -> squares of `side` pixels. A document of one token, in rows of one token: a row is a sample."""

    side: int
    condition: bool

    def __call__(self, messages: list[Message]) -> Encoded:
        found = [image.image for image in images(messages)]
        if not found:
            raise SeedxError("there is no picture to draw in this sample")
        given = [self._square(image)[None] for image in found[-2:-1] if self.condition]
        token, off = torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.bool)
        target = self._square(found[-1])[None]
        return Encoded(token, token, token, off, off, tiles=given[0] if given else None, targets=target)

    def _square(self, image: Source) -> Tensor:
        """(3, S, S) uint8: the middle of the picture."""
        pixels = decode(image)
        height, width = pixels.shape[1:]
        edge = min(height, width)
        top, left = (height - edge) // 2, (width - edge) // 2
        return resized(pixels[:, top : top + edge, left : left + edge], (self.side, self.side))


class PictureStage(RowStage, DetokenizerStage):
    """See the top of the file."""

    row = 1

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        DetokenizerStage.__init__(self, recipe, folder, from_dict(Options, recipe.options, "options."))
        self.side = self.model.config.image_size
        self.encode = Encode(self.side, self.condition)
        self.shown: Pictures | None = None

    def batch_of(self, rows: Sequence[Row], seeds: Sequence[str]) -> Pictures:
        targets = torch.cat([row.encoded.targets for row in rows if row.encoded.targets is not None])
        given = [row.encoded.tiles for row in rows]
        grey = torch.full_like(targets[:1], 128)
        chances = [self.chances(1, self.side // self.model.vae.factor, _generator(seed)) for seed in seeds]
        batch = Pictures(
            targets,
            torch.cat([grey if tiles is None else tiles for tiles in given]),
            torch.tensor([tiles is not None for tiles in given]),
            *(torch.cat([getattr(one, name) for one in chances]) for name in Chances.__dataclass_fields__),
        )
        self.shown = self.shown or part(batch, 0, SHOWN)
        return batch

    def counts(self, batch: Pictures) -> dict[str, int]:  # type: ignore[override]
        return {"drawing": batch.noise.numel(), "samples": len(batch.targets)}

    def losses(self, batch: Pictures) -> dict[str, Tensor]:  # type: ignore[override]
        return super().losses(self.encoded(batch))

    @torch.no_grad()
    def encoded(self, batch: Pictures) -> Noised:
        """The frozen parts' work. The autoencoder stays in float32: SDXL's overflows in less."""
        chances = Chances(batch.noise, batch.timesteps, batch.errors, batch.dropped)
        with torch.autocast(batch.targets.device.type, enabled=False):
            latents = self.model.vae.encode(_signed(batch.targets))
            condition = self.model.condition(_signed(batch.conditions)) if self.condition else None
        if condition is not None:
            condition = condition * batch.conditioned[:, None, None, None]
        return self.noised(latents, self.features(batch.targets), condition, chances)

    def features(self, pixels: Tensor) -> Tensor:
        """(B, 3, S, S) uint8 -> (B, Kp, D)."""
        config = self.vision.to(pixels.device).config
        tiles = F.interpolate(pixels, size=(config.image_size,) * 2, mode="bicubic", antialias=True)
        return pool_features(self.vision(tiles), config.pool).float()

    def sample(self, step: int) -> list[Image.Image]:
        """The first pictures that came, then as they are drawn from their features."""
        if self.shown is None:
            return []
        batch = moved(self.shown, self.model.device)
        condition = self.encoded(batch).condition
        return [*map(to_picture, batch.targets.float() / 255), *self.drawn(self.features(batch.targets), condition)]


def _signed(pixels: Tensor) -> Tensor:
    """uint8 -> -1..1, as the autoencoder reads them."""
    return pixels.float() / 127.5 - 1


def _generator(seed: str) -> torch.Generator:
    digest = hashlib.blake2b(seed.encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))
