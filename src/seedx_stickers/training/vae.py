"""Training of the de-tokenizer's autoencoder, from pixels."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from seedx.config import from_dict
from seedx.model.autoencoder import Autoencoder
from seedx.tiling import to_picture
from seedx.train.engine import components
from seedx.train.engine.trainable import apply
from seedx.train.recipe import Recipe, overridden
from seedx.train.stages.base import GeneratedDataStage
from seedx_stickers.scenes import TILE, sample, sample_size
from seedx_stickers.training.pixels import dress, scene_pixels

SHOWN = 4  # samples


@dataclass(frozen=True)
class Options:
    """
    Attributes:
        noise: standard deviation of the noise on the latents: the U-Net's are never exact.
        decoder: train the decoder alone, so that the latents stay the same.
    """

    noise: float = 0.05
    decoder: bool = False


@dataclass
class Pixels:
    pixels: Tensor  # (B, 3, S, S) in -1..1
    noise: Tensor  # (B, C, h, w), of unit deviation


class VaeStage(GeneratedDataStage):
    """Absolute and squared error of the pixels, and a small penalty that pulls the latents to a unit normal."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.options: Options = from_dict(Options, recipe.options, "options.")
        self.weights = overridden({"absolute": 1.0, "squared": 4.0, "pull": 1e-3}, recipe.losses, "loss")
        source = components.source(recipe, folder)
        self.model = Autoencoder(source.config.detokenizer.vae)
        if source.find("vae"):
            components.read(self.model, source.folder, "vae")
        if recipe.trained or self.options.decoder:
            apply(self.model, recipe.trained or ("model.decoder.*",))

    def batch(self, step: int) -> Pixels:
        rng = random.Random(f"vae/{self.recipe.seed}/{step}")
        scenes = []
        for _ in range(self.recipe.global_batch_size):
            size = (TILE, TILE) if rng.random() < 0.8 else sample_size(rng)
            scenes.append(dress(rng, sample(rng, size)))
        side = TILE // self.model.factor
        noise = torch.randn(len(scenes), self.model.channels, side, side)
        return Pixels(torch.stack([scene_pixels(scene) for scene in scenes]), noise)

    def counts(self, batch: Pixels) -> dict[str, int]:
        pixels = batch.pixels.numel()
        return {"absolute": pixels, "squared": pixels, "pull": batch.noise.numel(), "samples": len(batch.pixels)}

    def losses(self, batch: Pixels) -> dict[str, Tensor]:
        latents = self.model.mode(batch.pixels)
        noisy = latents + self.options.noise * batch.noise
        restored = self.model.decode((noisy - self.model.shift) * self.model.scale).float()
        error = restored - batch.pixels
        return {
            "absolute": error.abs().sum(),
            "squared": error.square().sum(),
            "pull": latents.float().square().sum(),
        }

    def sample(self, step: int) -> list[Image.Image]:
        """Pictures, each beside its reconstruction."""
        rng = random.Random("vae samples")
        pixels = torch.stack([scene_pixels(dress(rng, sample(rng))) for _ in range(SHOWN)])
        restored = self.model.decode(self.model.encode(pixels.to(next(self.model.parameters()).device)))
        return [to_picture(picture / 2 + 0.5) for pair in zip(pixels, restored, strict=True) for picture in pair]

    def save(self, model: nn.Module, folder: Path) -> None:
        components.write(model, folder, "vae")
