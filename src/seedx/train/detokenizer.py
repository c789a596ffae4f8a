"""The de-tokenizer's two stages, on what the frozen visual tokenizer and autoencoder make of scenes.

Stage 1: an image's own features in, the image out. Here, where there is no SDXL to start from, the whole U-Net trains.
Stage 2 adds the condition picture: editing pairs, pictures that are their own condition, and plain ones without.
"""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seedx.config import PRESETS
from seedx.model.detokenizer import Detokenizer, widen
from seedx.model.vision import VisionTransformer, pool_features
from seedx.stickers import tasks
from seedx.stickers.scenes import TILE, Scene, sample
from seedx.train.bank import Bank, fill
from seedx.train.pixels import dress
from seedx.train.recipe import Recipe


@dataclass
class Noised:
    latents: Tensor  # (B, C, h, w) to be drawn
    condition: Tensor | None  # (B, C, h, w)
    features: Tensor  # (B, Kp, D)
    noise: Tensor
    timesteps: Tensor  # (B,)


class DetokenizerStage:
    """
    Options:
        scenes: how many are encoded.
        feature_noise: the most that is added to features, in their deviations: what is regressed is never exact.
        drop: share of rows with the negative's features, for guidance.
        high_noise: the larger, the more often the time steps are noisy ones. What is where is learnt there.
    """

    condition = False

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        config = PRESETS[recipe.preset]
        vision = VisionTransformer(config.vision)
        vision.load_state_dict(load_file(folder / "vision.safetensors"))
        self.model = Detokenizer(dataclasses.replace(config.detokenizer, condition=False), config.vision.output_dim)
        self.model.vae.load_state_dict(load_file(folder / "vae.safetensors"))
        self.model.vae.requires_grad_(False)
        vision.eval().requires_grad_(False)
        with torch.no_grad():
            empty = vision(torch.zeros(1, 3, TILE, TILE))
        self.negative = pool_features(empty, config.vision.pool)
        count = recipe.options.get("scenes", 40000)
        self.scenes = fill(folder / "cache/scenes.safetensors", "scenes", count, plain, vision, self.model.vae)
        self.spread = float(self.scenes.features[:2000].float().std())
        self.prepare(folder, vision)

    def prepare(self, folder: Path, vision: VisionTransformer) -> None:
        """What only one of the stages needs."""

    def batch(self, step: int) -> Noised:
        pick = torch.randint(len(self.scenes), (self.recipe.batch,))
        return self.noised(self.scenes.latents[pick], self.scenes.features[pick], None)

    def noised(self, modes: Tensor, features: Tensor, condition: Tensor | None) -> Noised:
        vae, options, rows = self.model.vae, self.recipe.options, len(modes)
        latents = (modes.float() - vae.shift) * vae.scale
        level = options.get("feature_noise", 0.2) * self.spread * torch.rand(rows, 1, 1)
        features = features.float()
        features = features + level * torch.randn_like(features)
        dropped = torch.rand(rows) < options.get("drop", 0.1)
        features = torch.where(dropped[:, None, None], self.negative, features)
        uniform = torch.rand(rows) ** (1 / options.get("high_noise", 1.5))
        steps = self.model.noise_schedule.config.num_train_timesteps
        timesteps = (uniform * steps).long().clamp(max=steps - 1)
        return Noised(latents, condition, features, torch.randn_like(latents), timesteps)

    def losses(self, batch: Noised) -> dict[str, Tensor]:
        loss = self.model.loss(batch.latents, batch.features, batch.condition, batch.noise, batch.timesteps)
        return {"loss": loss}

    def save(self, model: nn.Module, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        state = {name: t.contiguous() for name, t in model.state_dict().items() if not name.startswith("vae.")}
        name = "detokenizer" if self.condition else "detokenizer-1"
        save_file(state, folder / f"{name}.safetensors")


class ConditionStage(DetokenizerStage):
    """
    Options besides:
        start: go on from the de-tokenizer of this stage in the folder, not from that of the first.
        edits: how many pairs are encoded.
        edited, own: shares of editing pairs, and of pictures that are their own condition.
    """

    condition = True

    def prepare(self, folder: Path, vision: VisionTransformer) -> None:
        vae_state = {f"vae.{k}": v for k, v in self.model.vae.state_dict().items()}
        start = self.recipe.options.get("start", False)
        if start:
            widen(self.model)
        weights = load_file(folder / ("detokenizer.safetensors" if start else "detokenizer-1.safetensors"))
        self.model.load_state_dict({**weights, **vae_state})
        if not start:
            widen(self.model)
        count = self.recipe.options.get("edits", 30000)
        vae = self.model.vae
        self.sources: Bank = fill(folder / "cache/sources.safetensors", "edits", count, edit_source, None, vae)
        self.targets: Bank = fill(folder / "cache/targets.safetensors", "edits", count, edit_target, vision, vae)

    def batch(self, step: int) -> Noised:
        rows, options = self.recipe.batch, self.recipe.options
        edited = round(rows * options.get("edited", 0.6))
        own = round(rows * options.get("own", 0.1))
        pairs = torch.randint(len(self.targets), (edited,))
        plain_ones = torch.randint(len(self.scenes), (rows - edited,))
        modes = torch.cat([self.targets.latents[pairs], self.scenes.latents[plain_ones]])
        features = torch.cat([self.targets.features[pairs], self.scenes.features[plain_ones]])
        condition = torch.cat([self.sources.latents[pairs], self.scenes.latents[plain_ones]]).float()
        condition[edited + own :] = 0
        return self.noised(modes, features, condition * self.model.config.condition_scale)


def plain(rng: random.Random) -> Scene:
    """A scene to draw: half of them composed as a wish or a caption asks, half at random."""
    if rng.random() < 0.5:
        return dress(rng, sample(rng))
    return tasks.sample(rng, "draw" if rng.random() < 0.8 else "wish").scenes[-1]


def edit_source(rng: random.Random) -> Scene:
    return tasks.sample(rng, "edit").scenes[0]


def edit_target(rng: random.Random) -> Scene:
    """Of the same pair as `edit_source` with an equal generator."""
    return tasks.sample(rng, "edit").scenes[-1]
