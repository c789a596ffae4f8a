"""The de-tokenizer's autoencoder, learnt from pixels."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from seedx.config import PRESETS
from seedx.model.autoencoder import Autoencoder
from seedx.stickers.scenes import TILE, sample, sample_size
from seedx.train.pixels import dress, scene_pixels
from seedx.train.recipe import Recipe


class VaeStage:
    """Mean absolute plus squared error of the pixels, and a light pull of the latents to a unit normal.

    Options:
        pull: weight of that pull.
        noise: on the latents; the U-Net's are never exact.
        start: go on from the autoencoder in the folder.
        decoder: train the decoder alone, the latents stay what they are.
    """

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.model = Autoencoder(PRESETS[recipe.preset].detokenizer.vae)
        if recipe.options.get("start"):
            self.model.load_state_dict(load_file(folder / "vae.safetensors"))
        if recipe.options.get("decoder"):
            self.model.model.encoder.requires_grad_(False)
        self.pull = recipe.options.get("pull", 1e-3)
        self.noise = recipe.options.get("noise", 0.05)

    def batch(self, step: int) -> Tensor:
        rng = random.Random(f"vae/{self.recipe.seed}/{step}")
        scenes = []
        for _ in range(self.recipe.batch):
            size = (TILE, TILE) if rng.random() < 0.8 else sample_size(rng)
            scenes.append(dress(rng, sample(rng, size)))
        return torch.stack([scene_pixels(scene) for scene in scenes])

    def losses(self, pixels: Tensor) -> dict[str, Tensor]:
        latents = self.model.mode(pixels)
        noisy = latents + self.noise * torch.randn_like(latents)
        restored = self.model.decode((noisy - self.model.shift) * self.model.scale).float()
        squared = (restored - pixels).square().mean()
        absolute = (restored - pixels).abs().mean()
        pull = latents.float().square().mean()
        psnr = 10 * torch.log10(4 / squared.detach())
        return {"loss": absolute + 4 * squared + self.pull * pull, "psnr": psnr, "pull": pull}

    def save(self, model: torch.nn.Module, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(model.state_dict(), folder / "vae.safetensors")
