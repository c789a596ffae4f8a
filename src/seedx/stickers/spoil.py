"""Spoil a picture in the ways in which a model's drawing falls short of a render."""

from __future__ import annotations

import io
import random

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor


def spoil(rng: random.Random, picture: Image.Image) -> Image.Image:
    """Some of: less resolution, blur, other colours, noise, stains, JPEG."""
    if rng.random() < 0.4:
        picture = _coarsen(rng, picture)
    elif rng.random() < 0.5:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.1)))
    picture = _discolour(rng, picture)
    for _ in range(rng.choice((0, 0, 1, 2))):
        _stain(rng, picture)
    return _jpeg(rng, picture) if rng.random() < 0.4 else picture


def _coarsen(rng: random.Random, picture: Image.Image) -> Image.Image:
    scale = rng.uniform(0.45, 0.9)
    small = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BILINEAR)
    return small.resize(picture.size, rng.choice((Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)))


def _discolour(rng: random.Random, picture: Image.Image) -> Image.Image:
    """Gain and offset of each channel, fine noise and wide soft noise."""
    noise = np.random.default_rng(rng.getrandbits(32))
    pixels = np.asarray(picture).astype(np.float32)
    pixels = pixels * noise.uniform(0.9, 1.1, 3) + noise.uniform(-12, 12, 3)
    pixels += noise.normal(0, rng.uniform(0, 9), pixels.shape)
    soft = torch.from_numpy(noise.normal(0, rng.uniform(0, 10), (1, 3, 8, 8)))
    wide = F.interpolate(soft, size=pixels.shape[:2], mode="bilinear")
    pixels += wide[0].permute(1, 2, 0).numpy()
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _stain(rng: random.Random, picture: Image.Image) -> None:
    """A small patch of another place of the picture, or of any colour."""
    wide, high = rng.randint(3, 9), rng.randint(3, 9)
    x, y = rng.randint(0, picture.width - wide), rng.randint(0, picture.height - high)
    if rng.random() < 0.7:
        u, v = rng.randint(0, picture.width - wide), rng.randint(0, picture.height - high)
        picture.paste(picture.crop((u, v, u + wide, v + high)), (x, y))
    else:
        picture.paste(tuple(rng.randrange(256) for _ in range(3)), (x, y, x + wide, y + high))


def _jpeg(rng: random.Random, picture: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=rng.randint(25, 90))
    return Image.open(buffer).convert("RGB")


def bend(rng: random.Random, pixels: Tensor, share: float = 0.35, most: float = 2.0) -> Tensor:
    """Move the pixels of some pictures of a batch (B, 3, H, W) along soft waves, up to about `most` pixels."""
    bent = [index for index in range(len(pixels)) if rng.random() < share]
    if not bent:
        return pixels
    generator = torch.Generator().manual_seed(rng.getrandbits(32))
    size = pixels.shape[-1]
    waves = torch.randn(len(bent), 2, 7, 7, generator=generator) * most / size
    grid = F.affine_grid(torch.eye(2, 3).expand(len(bent), 2, 3), list(pixels[bent].shape), align_corners=False)
    grid = grid + F.interpolate(waves, size=pixels.shape[-2:], mode="bicubic").permute(0, 2, 3, 1)
    pixels = pixels.clone()
    pixels[bent] = F.grid_sample(pixels[bent], grid, padding_mode="border", align_corners=False)
    return pixels
