"""The de-tokenizer's stages on generated scenes, which the frozen parts encode once (`bank.py`)."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from seedx.config import from_dict
from seedx.errors import SeedxError
from seedx.tiling import to_picture
from seedx.train.recipe import Recipe
from seedx.train.stages.base import GeneratedDataStage
from seedx.train.stages.detokenizer import DenoisingBatch, DetokenizerStage, Options
from seedx_stickers import tasks
from seedx_stickers.scenes import Scene, sample
from seedx_stickers.tasks import Example
from seedx_stickers.training.bank import Bank, fill
from seedx_stickers.training.guessed import guess
from seedx_stickers.training.pixels import dress

SHOWN = 4  # samples
PAIRS = {"edit": 0.5, "edit:replace": 0.15, "edit:wear": 0.15, "try_on": 0.12, "together": 0.08}  # of editing pairs


class FirstSceneStage(DetokenizerStage, GeneratedDataStage):
    """Stage 1: scenes from their own features."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        options: Options = from_dict(Options, recipe.options, "options.")
        if options.predicted_feature_ratio and not self.condition:
            raise SeedxError("options.predicted_feature_ratio is of the stage condition-scenes: leave it out here")
        super().__init__(recipe, folder, options)
        vae, cache = self.model.vae, folder / "cache"
        self.scenes = fill(cache / "scenes.safetensors", "scenes", options.scenes, plain, self.vision, vae)
        self.feature_std = float(self.scenes.features[:2000].float().std())
        if self.condition:
            self.sources: Bank = fill(cache / "sources.safetensors", "pairs", options.edits, before, None, vae)
            self.targets: Bank = fill(cache / "targets.safetensors", "pairs", options.edits, after, self.vision, vae)
        if options.predicted_feature_ratio:
            source = self.source.folder
            self.guesses = {
                bank: guess(cache / f"guessed-{bank}.safetensors", bank, source, self.config, real, example)
                for bank, real, example in (
                    ("scenes", self.scenes.features, lambda i: asked(random.Random(f"scenes/{i}"))),
                    ("pairs", self.targets.features, lambda i: pair(random.Random(f"pairs/{i}"))),
                )
            }

    def batch(self, step: int) -> DenoisingBatch:
        modes, features, condition = self._conditioned() if self.condition else self._plain()
        latents = self._scaled(modes)
        return self.denoising_batch(
            latents, features.float(), condition, self.randomness(len(latents), latents.shape[-1])
        )

    def _plain(self) -> tuple[Tensor, Tensor, None]:
        pick = torch.randint(len(self.scenes), (self.recipe.global_batch_size,))
        return self.scenes.latents[pick], self.scenes.features[pick], None

    def _conditioned(self) -> tuple[Tensor, Tensor, Tensor]:
        rows = self.recipe.global_batch_size
        edited, own = round(rows * self.options.edited), round(rows * self.options.own)
        pairs = torch.randint(len(self.targets), (edited,))
        others = torch.randint(len(self.scenes), (rows - edited,))
        modes = torch.cat([self.targets.latents[pairs], self.scenes.latents[others]])
        features = torch.cat([self.targets.features[pairs], self.scenes.features[others]])
        if self.options.predicted_feature_ratio:
            guesses = torch.cat([self.guesses["pairs"][pairs], self.guesses["scenes"][others]])
            features = torch.where(torch.rand(rows, 1, 1) < self.options.predicted_feature_ratio, guesses, features)
        condition = torch.cat([self.sources.latents[pairs], self.scenes.latents[others]]).float()
        condition[edited + own :] = 0
        # A new picture in a conversation has the one before it as its condition, too.
        other = slice(edited + own, edited + own + round(rows * self.options.unrelated))
        condition[other] = self.scenes.latents[torch.randint(len(self.scenes), (len(condition[other]),))].float()
        return modes, features, condition * self.model.config.condition_scale

    def _scaled(self, modes: Tensor) -> Tensor:
        return (modes.float() - self.model.vae.shift) * self.model.vae.scale

    def sample(self, step: int) -> list[Image.Image]:
        """A few pictures through the autoencoder, then those decoded from their features."""
        bank = self.targets if self.condition else self.scenes
        condition = self.sources.latents[:SHOWN].float() if self.condition else None
        if condition is not None:
            condition = condition * self.model.config.condition_scale
        pixels = self.model.vae.decode(self._scaled(bank.latents[:SHOWN]).to(self.model.device))
        return [
            *(to_picture(picture / 2 + 0.5) for picture in pixels),
            *self.decode(bank.features[:SHOWN].float(), condition),
        ]


class SecondSceneStage(FirstSceneStage):
    """Stage 2: edited scenes too, scenes that are their own condition, and scenes with an unrelated one."""

    condition = True


def plain(rng: random.Random) -> Scene:
    """A scene to draw: three in five as text asks for, the others at random."""
    example = asked(rng)
    return example.scenes[-1] if example else dress(rng, sample(rng))


def asked(rng: random.Random) -> Example | None:
    """The example that asks for the scene that `plain` gives for the same generator; None for a random scene."""
    if rng.random() < 0.4:
        return None
    return tasks.mixture(rng, {"draw": 0.5, "draw:unplaced": 0.3, "wish": 0.08, "story": 0.12})


def pair(rng: random.Random) -> Example:
    """An example that edits a picture."""
    return tasks.mixture(rng, PAIRS)


def before(rng: random.Random) -> Scene:
    """The source of the edit that `pair` gives for the same generator."""
    return pair(rng).scenes[-2]


def after(rng: random.Random) -> Scene:
    """Its target."""
    return pair(rng).scenes[-1]
