"""Features of the visual tokenizer -> images, with what the de-tokenizer needs: sizes, conditions, the negative.

Shapes:
    N images, Q and D tokens and width of the visual tokenizer, Kp = Q / pool features an image when drawing
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import PIL.Image
import torch
from torch import Tensor
from tqdm import tqdm

from seedx.checkpoint.parts import Model
from seedx.engines.compiled import compile_unet
from seedx.errors import SeedxError, SeedxWarning
from seedx.inference.adapters import LoadedAdapters
from seedx.inference.settings import DrawSettings
from seedx.model.denoise import Denoising, check_schedule
from seedx.model.detokenizer import Detokenizer
from seedx.model.vision import negative_features, pool_features
from seedx.tiling import BICUBIC, one_tile, thumbnail, to_picture, to_tensor
from seedx.variants import variant_of

Size = tuple[int, int]  # width, height

LONGEST = 8.0  # an image longer than this many times its shorter side is drawn with this ratio
HALF = (0.5, 0.5, 0.5)  # mean and deviation that bring pixels to -1..1


@dataclass(frozen=True)
class ImageRequest:
    """One image to decode: its features (Kp, D) or (Q, D), how, and the image whose detail it keeps, if any; and the
    adapter, as in `Request`."""

    features: Tensor
    settings: DrawSettings = field(default_factory=DrawSettings)
    condition: PIL.Image.Image | None = None
    adapter: str | None = None


class ImageDecoder:
    def __init__(
        self,
        model: Model,
        progress: bool = False,
        adapters: LoadedAdapters | None = None,
        compiled: bool = False,
    ) -> None:
        self.model, self.progress, self.compiled = model, progress, compiled
        self.adapters = adapters or LoadedAdapters(model, {})
        self.variant = variant_of(model.config)
        self.factor = model.detokenizer.vae.factor
        self._schedules: set[tuple[str, int]] = set()  # that were checked
        self._negatives: dict[int, Tensor] = {}

    def check(self, settings: DrawSettings) -> None:
        """Find mistakes before a reply is generated.

        Raises:
            SeedxError: a size that the autoencoder can't decode, an unknown sampler, or steps that it can't take.
        """
        config = self.model.config.detokenizer
        if settings.size and any(side % self.factor for side in settings.size):
            wide, high = settings.size
            raise SeedxError(f"width and height must be multiples of {self.factor}, not {wide} x {high}")
        if settings.sampler or settings.steps:
            schedule = (settings.sampler or config.sampler, settings.steps or config.steps)
            if schedule not in self._schedules:
                check_schedule(*schedule, config)
                self._schedules.add(schedule)
        if settings.size:
            warn_of_size(settings.size, config.image_size)

    def check_condition(self) -> None:
        """
        Raises:
            SeedxError: the model can't keep to a condition image.
        """
        if not self.model.has_stage(True):
            raise SeedxError(
                "keeping to a picture needs the second stage of the de-tokenizer, which this model does not have: "
                "convert it again from a download that holds seed_detokenizer/second_stage, or give condition=False"
            )

    def stage(self, condition: bool) -> Detokenizer:
        """The stage of the de-tokenizer that draws with, or without, a condition image, by the model's variant."""
        second = condition or self.variant.free_stage == "second"
        if not condition and not self.model.has_stage(second):
            if not second:
                warnings.warn(
                    f"{self.variant.title} draws by the first stage of the de-tokenizer, which this model does not "
                    "have: its second stage draws instead, without a condition",
                    SeedxWarning,
                    stacklevel=2,
                )
            second = not second
        stage = self.model.stage(second)
        if self.compiled:
            compile_unet(stage)
        return stage

    @torch.no_grad()
    def encode(self, images: Sequence[PIL.Image.Image]) -> Tensor:
        """The features of images given to the de-tokenizer directly: (N, Q, D), or (N, Kp, D) where the config says
        that they are pooled."""
        tile = self.model.config.tiling.tile
        read = one_tile if self.variant.bilinear else thumbnail
        full = self._features(torch.stack([read(image, tile) for image in images]))
        pooled = self.model.config.detokenizer.pooled_images
        return pool_features(full, self.model.config.vision.pool) if pooled else full

    def decode(self, requests: Sequence[ImageRequest]) -> list[PIL.Image.Image]:
        """Draw all images, those of the same size and settings together.

        An image's size is that of its settings, or else has the ratio of its condition, or is square.

        Raises:
            SeedxError: as `check`, or a condition for a model that has only the first stage.
        """
        groups: dict[object, list[int]] = defaultdict(list)
        for index, request in enumerate(requests):
            self.check(request.settings)
            if request.condition is not None:
                self.check_condition()
            groups[self.kind(request)].append(index)
        images: dict[int, PIL.Image.Image] = {}
        for members in self._limited(groups.values()):
            images.update(zip(members, self._decode([requests[i] for i in members]), strict=True))
        return [images[index] for index in range(len(requests))]

    def _limited(self, groups: Iterable[list[int]]) -> Iterator[list[int]]:
        """Groups of no more images than may be decoded at once."""
        for members in groups:
            most = self.model.placement.images_at_once or len(members)
            for start in range(0, len(members), most):
                yield members[start : start + most]

    def size_for(self, image: PIL.Image.Image | None) -> Size:
        """The image's ratio in multiples of the factor, at about the area that the model draws: 300 x 100 becomes
        168 x 56 for 96 x 96 and a factor of 8. Without an image, square."""
        side = self.model.config.detokenizer.image_size
        wide, high = image.size if image else (1, 1)
        stretch = math.sqrt(min(max(wide / high, 1 / LONGEST), LONGEST))
        return self._whole(side * stretch), self._whole(side / stretch)

    def _whole(self, length: float) -> int:
        return max(1, round(length / self.factor)) * self.factor

    def _size(self, request: ImageRequest) -> Size:
        return request.settings.size or self.size_for(request.condition)

    def kind(self, request: ImageRequest) -> object:
        """Equal for requests that are decoded together: they may differ in seed, features and condition image."""
        s = request.settings
        how = (s.steps, s.sampler, s.guidance, s.image_guidance, s.guidance_interval, s.cache_interval)
        adapter = self.adapters.of_drawing(request.adapter)
        return self._size(request), request.condition is None, len(request.features), adapter, how

    def begin(self, requests: Sequence[ImageRequest]) -> Denoising:
        """Images of one `kind`, to be drawn step by step: `to_picture` makes a picture of its pixels."""
        size, settings = self._size(requests[0]), requests[0].settings
        features = torch.stack([request.features for request in requests])
        conditions = [request.condition for request in requests if request.condition is not None]
        # The U-Net is read last: in some memory modes it takes the place of what computes these.
        negative = self._negative(features.shape[1])
        stage = self.stage(requests[0].condition is not None)
        return Denoising(
            stage,
            features,
            negative,
            [request.settings.seed for request in requests],
            size=(size[1], size[0]),
            condition=self._latents(conditions, size) if conditions else None,
            steps=settings.steps,
            sampler=settings.sampler,
            guidance=settings.guidance,
            image_guidance=settings.image_guidance,
            together=self.model.placement.branches_together,
            guidance_interval=settings.guidance_interval,
            cache_interval=settings.cache_interval,
            adapter=self.adapters.drawing(stage, requests[0].adapter),
        )

    def _decode(self, requests: Sequence[ImageRequest]) -> list[PIL.Image.Image]:
        """Images of one kind."""
        drawing = self.begin(requests)
        bar = tqdm(desc="drawing", unit="step", delay=1, leave=False, disable=not self.progress, total=drawing.steps)
        with bar:
            while not drawing.done:
                drawing.step()
                bar.update()
        return [to_picture(image) for image in drawing.pixels()]

    @torch.no_grad()
    def _latents(self, images: Sequence[PIL.Image.Image], size: Size) -> Tensor:
        pixels = torch.stack([to_tensor(image.resize(size, BICUBIC), HALF, HALF) for image in images])
        self.model.need("vae")
        return self.model.detokenizer.condition(pixels)

    def _negative(self, count: int) -> Tensor:
        """(1, count, D): all Q negative features, or the Kp pooled ones, as many as the image's own. Computed once."""
        if count not in self._negatives:
            pooled = count != self.model.config.vision.queries
            self._negatives[count] = negative_features(self.model.seedx.vision, pooled)
        return self._negatives[count]

    @torch.no_grad()
    def _features(self, pixels: Tensor) -> Tensor:
        return self.model.seedx.encode_images(pixels)


def warn_of_size(size: Size, side: int) -> None:
    """Warn of a size that is far from what the model was trained to draw: `side` x `side`, or as many pixels."""
    pixels = size[0] * size[1] / side**2
    if not 0.5 <= pixels <= 2 or not 1 / LONGEST <= size[0] / size[1] <= LONGEST:
        warnings.warn(
            f"the model draws well at about {side} x {side} pixels in all, with a ratio up to {LONGEST:g}: "
            f"{size[0]} x {size[1]} may look wrong",
            SeedxWarning,
            stacklevel=2,
        )
