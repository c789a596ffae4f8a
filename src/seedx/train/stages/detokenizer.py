"""The de-tokenizer's two stages: what they share, whatever the pictures come from.

Stage 1 (`detokenizer`): an image's own features in, the image out. Stage 2 (`condition`) adds the condition picture:
editing pairs, and pictures without one. Both learn the scheduler's target, noise or velocity, at random times.

Pictures are scenes made up here (`detokenizer_scenes.py`), or those of a recipe's `[[data]]`
(`detokenizer_pictures.py`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from seedx.model.denoise import denoise
from seedx.model.detokenizer import Detokenizer, widen
from seedx.model.vision import VisionTransformer, pool_features
from seedx.tiling import to_picture
from seedx.train.engine import components
from seedx.train.engine.trainable import DEFAULTS, apply
from seedx.train.recipe import Recipe, chosen

FIRST = "detokenizer-1"  # stage 1's file in the folder, until stage 2 has gone on from it


@dataclass(frozen=True)
class Options:
    """
    Attributes:
        start: go on from this stage's own weights in the folder, not from the ones of the stage before.
        feature_noise: the most that is added to features, in their deviations: what is regressed is never exact.
        drop: share of rows with the negative's features, for guidance.
        high_noise: the larger, the more often the time steps are noisy ones. What is where is learnt there.
        scenes, edits: of pictures made up, how many are encoded.
        edited, own: of pictures made up, the shares of editing pairs, and of pictures that are their own condition.
        unrelated: the share of pictures made up whose condition is another picture.
        guessed: in the second stage, the share of rows whose features are what the folder's language model regresses
            for the words that ask for the picture, where there are such words.
    """

    start: bool = False
    feature_noise: float = 0.2
    drop: float = 0.1
    high_noise: float = 1.5
    scenes: int = 40000
    edits: int = 30000
    edited: float = 0.6
    own: float = 0.1
    unrelated: float = 0.0
    guessed: float = 0.0


@dataclass
class Chances:
    """What is random about rows: their noise, times, inexact features, and whether they have features at all."""

    noise: Tensor  # (B, C, h, w), of unit deviation
    timesteps: Tensor  # (B,)
    errors: Tensor  # (B, Kp, D), in deviations of the features
    dropped: Tensor  # (B,) bool


@dataclass
class Noised:
    latents: Tensor  # (B, C, h, w) to be drawn
    condition: Tensor | None  # (B, C, h, w)
    features: Tensor  # (B, Kp, D)
    noise: Tensor  # (B, C, h, w)
    timesteps: Tensor  # (B,)


class DetokenizerStage:
    """Base of both kinds.

    Attributes:
        condition: whether it is the second stage.
        spread: deviation of the visual tokenizer's features.
        config: of the whole model.
    """

    spread = 1.0

    def __init__(self, recipe: Recipe, folder: Path, options: Options) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.options, self.condition = recipe, options, recipe.stage.startswith("condition")
        self.weights = chosen({"drawing": 1.0}, recipe.losses, "loss")
        source = components.source(recipe, folder)
        self.config = config = components.config_of(source, recipe.preset)
        with torch.device("meta"):
            self.vision = VisionTransformer(config.vision).eval().requires_grad_(False)
        components.read(self.vision, source, "vision")
        with torch.device("meta" if self.condition or options.start or recipe.model else "cpu"):
            self.model = Detokenizer(dataclasses.replace(config.detokenizer, condition=False), config.vision.output_dim)
        self._read_weights(source)
        components.read(self.model.vae, source, "vae")
        apply(self.model, recipe.trained or DEFAULTS[recipe.stage.removesuffix("-scenes")])
        with torch.no_grad():
            size = config.vision.image_size
            self.negative = pool_features(self.vision(torch.zeros(1, 3, size, size)), config.vision.pool)

    def _read_weights(self, source: Path) -> None:
        """Of stage 1: none, its own or a whole model's. Of stage 2: stage 1's, widened, or its own."""
        first = components.has(source, FIRST)
        own = self.options.start or not first
        if not self.condition:
            if self.options.start or self.recipe.model:
                components.read(self.model, source, "detokenizer", FIRST if first else "", spread=True)
        elif own:
            components.read(widen(self.model), source, "detokenizer", spread=True)
        else:
            components.read(self.model, source, "detokenizer", FIRST, spread=True)
            widen(self.model)

    def counts(self, batch: Noised) -> dict[str, int]:
        return {"drawing": batch.latents.numel(), "samples": len(batch.latents)}

    def losses(self, batch: Noised) -> dict[str, Tensor]:
        loss = self.model.loss(batch.latents, batch.features, batch.condition, batch.noise, batch.timesteps)
        return {"drawing": loss * batch.latents.numel()}

    def chances(self, rows: int, side: int, generator: torch.Generator | None = None) -> Chances:
        """For latents of `side` x `side`, by a generator or torch's global one."""
        vision, options = self.vision.config, self.options
        level = options.feature_noise * torch.rand(rows, 1, 1, generator=generator)
        errors = level * torch.randn(rows, vision.pooled, vision.output_dim, generator=generator)
        dropped = torch.rand(rows, generator=generator) < options.drop
        uniform = torch.rand(rows, generator=generator) ** (1 / options.high_noise)
        steps = self.model.noise_schedule.config.num_train_timesteps
        timesteps = (uniform * steps).long().clamp(max=steps - 1)
        noise = torch.randn(rows, self.model.vae.channels, side, side, generator=generator)
        return Chances(noise, timesteps, errors, dropped)

    def noised(self, latents: Tensor, features: Tensor, condition: Tensor | None, chances: Chances) -> Noised:
        features = features + self.spread * chances.errors
        negative = self.negative.to(features.device)
        features = torch.where(chances.dropped[:, None, None], negative, features)
        return Noised(latents, condition, features, chances.noise, chances.timesteps)

    def drawn(self, features: Tensor, condition: Tensor | None) -> list[Image.Image]:
        """What the model draws of features (B, Kp, D) by now."""
        device = self.model.device
        condition = condition if condition is None else condition.to(device)
        seeds = range(len(features))
        pixels = denoise(self.model, features.to(device), self.negative.to(device), seeds, condition=condition)
        return [to_picture(picture) for picture in pixels]

    def save(self, model: nn.Module, folder: Path) -> None:
        components.write(model, folder, "detokenizer", "" if self.condition else FIRST)
