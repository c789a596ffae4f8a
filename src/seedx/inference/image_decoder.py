"""Features of the visual tokenizer -> pictures, with what drawing needs around the de-tokenizer: sizes, conditions, the
negative.

Shapes:
    Q and D tokens and width of the visual tokenizer, Kp = Q / pool features an image when drawing
"""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import PIL.Image
import torch
from torch import Tensor
from tqdm import tqdm

from seedx.checkpoint.native import Model
from seedx.errors import SeedxError
from seedx.inference.settings import DrawSettings
from seedx.model.denoise import denoise
from seedx.model.detokenizer import scheduler
from seedx.model.vision import pool_features
from seedx.tiling import BICUBIC, thumbnail, to_picture, to_tensor

Size = tuple[int, int]  # width, height

LONGEST = 8.0  # a picture longer than this many times its shorter side is drawn with this ratio
HALF = (0.5, 0.5, 0.5)  # mean and deviation that bring pixels to -1..1


@dataclass(frozen=True)
class Order:
    """One picture to draw: its features (N, D), its seed, and the picture that it should keep to, if any."""

    features: Tensor
    seed: int
    condition: PIL.Image.Image | None = None


class Painter:
    def __init__(self, model: Model, progress: bool = False) -> None:
        self.model, self.progress = model, progress
        self.factor = model.detokenizer.vae.factor

    def check(self, settings: DrawSettings) -> None:
        """Find mistakes before an answer is written.

        Raises:
            SeedxError: a size that the autoencoder can't draw, or an unknown sampler.
        """
        if settings.size and any(side % self.factor for side in settings.size):
            wide, high = settings.size
            raise SeedxError(f"width and height must be multiples of {self.factor}, not {wide} x {high}")
        if settings.sampler:
            scheduler(settings.sampler, self.model.config.detokenizer)

    @torch.no_grad()
    def features(self, pictures: Sequence[PIL.Image.Image]) -> Tensor:
        """What the de-tokenizer reads of pictures given to it directly: (N, Q, D), or (N, Kp, D) where the config says
        that they are pooled."""
        tile = self.model.config.tiling.tile
        full = self._see(torch.stack([thumbnail(picture, tile) for picture in pictures]))
        pooled = self.model.config.detokenizer.pooled_images
        return pool_features(full, self.model.config.vision.pool) if pooled else full

    def paint(self, orders: Sequence[Order], settings: DrawSettings) -> list[PIL.Image.Image]:
        """Draw all pictures, those of one size together.

        A picture's size is that of the settings, or else has the ratio of its condition, or is square.

        Raises:
            SeedxError: as `check`, or a condition for a model of the first stage.
        """
        self.check(settings)
        groups: dict[tuple[Size, bool], list[int]] = defaultdict(list)
        for index, order in enumerate(orders):
            groups[settings.size or self.size_for(order.condition), order.condition is None].append(index)
        pictures: dict[int, PIL.Image.Image] = {}
        for (size, _), members in groups.items():
            pictures.update(zip(members, self._paint([orders[i] for i in members], size, settings), strict=True))
        return [pictures[index] for index in range(len(orders))]

    def size_for(self, picture: PIL.Image.Image | None) -> Size:
        """The picture's ratio in multiples of the factor, at about the area that the model draws: 300 x 100 becomes
        168 x 56 for 96 x 96 and a factor of 8. Without a picture, square."""
        side = self.model.config.detokenizer.image_size
        wide, high = picture.size if picture else (1, 1)
        stretch = math.sqrt(min(max(wide / high, 1 / LONGEST), LONGEST))
        return self._whole(side * stretch), self._whole(side / stretch)

    def _whole(self, length: float) -> int:
        return max(1, round(length / self.factor)) * self.factor

    def _paint(self, orders: list[Order], size: Size, settings: DrawSettings) -> list[PIL.Image.Image]:
        """Pictures of one size, all of them with a condition or all without."""
        features = torch.stack([order.features for order in orders])
        conditions = [order.condition for order in orders if order.condition is not None]
        with tqdm(desc="drawing", unit="step", delay=1, leave=False, disable=not self.progress) as bar:

            def show(step: int, steps: int, latents: Tensor) -> None:
                bar.total = steps
                bar.update()

            pixels = denoise(
                self.model.detokenizer,
                features,
                self._negative(features.shape[1]),
                [order.seed for order in orders],
                size=(size[1], size[0]),
                condition=self._latents(conditions, size) if conditions else None,
                steps=settings.steps,
                sampler=settings.sampler,
                guidance=settings.guidance,
                image_guidance=settings.image_guidance,
                callback=show,
            )
        return [to_picture(picture) for picture in pixels]

    @torch.no_grad()
    def _latents(self, pictures: Sequence[PIL.Image.Image], size: Size) -> Tensor:
        pixels = torch.stack([to_tensor(picture.resize(size, BICUBIC), HALF, HALF) for picture in pictures])
        return self.model.detokenizer.condition(pixels.to(self.model.detokenizer.device))

    def _negative(self, count: int) -> Tensor:
        """(1, count, D): all Q features of nothing, or the Kp pooled ones, as many as the picture's own."""
        nothing = self._nothing
        return nothing if count == nothing.shape[1] else pool_features(nothing, self.model.config.vision.pool)

    @functools.cached_property
    def _nothing(self) -> Tensor:
        side = self.model.config.vision.image_size
        return self._see(torch.zeros(1, 3, side, side))

    @torch.no_grad()
    def _see(self, pixels: Tensor) -> Tensor:
        positions = self.model.seedx.vision.positions
        return self.model.seedx.encode_images(pixels.to(positions.device, positions.dtype))
