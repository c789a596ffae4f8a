"""Corruptions of renders for the training of the judge: imperfect pictures, distractors, destroyed pictures."""

from __future__ import annotations

import io
import random

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor

from seedx_stickers.art import OBJECTS, sized


def corrupt(rng: random.Random, picture: Image.Image, mild: bool = False) -> Image.Image:
    """Apply some of: lower resolution or blur, other colours and noise, stains, JPEG.

    `mild`: no lower resolution or blur in which an eye is lost.
    """
    if rng.random() < 0.4:
        picture = _lower_resolution(rng, picture, 0.7 if mild else 0.45)
    elif rng.random() < 0.5:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.7 if mild else 1.1)))
    picture = _change_colours(rng, picture)
    for _ in range(rng.choice((0, 0, 1, 2))):
        _stain(rng, picture)
    return _jpeg(rng, picture) if rng.random() < 0.4 else picture


def _lower_resolution(rng: random.Random, picture: Image.Image, least: float) -> Image.Image:
    scale = rng.uniform(least, 0.9)
    small = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BILINEAR)
    return small.resize(picture.size, rng.choice((Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)))


def _change_colours(rng: random.Random, picture: Image.Image) -> Image.Image:
    """Gain and offset of each channel, fine noise and wide soft noise."""
    noise = np.random.default_rng(rng.getrandbits(32))
    pixels = np.asarray(picture).astype(np.float64)
    pixels = pixels * noise.uniform(0.9, 1.1, 3) + noise.uniform(-12, 12, 3)
    pixels += noise.normal(0, rng.uniform(0, 9), pixels.shape)
    soft = torch.from_numpy(noise.normal(0, rng.uniform(0, 10), (1, 3, 8, 8)))
    wide = F.interpolate(soft, size=pixels.shape[:2], mode="bilinear")
    pixels += wide[0].permute(1, 2, 0).numpy()
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _stain(rng: random.Random, picture: Image.Image) -> None:
    """Paste a small patch of another place of the picture, or of a random colour."""
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


def distractor(rng: random.Random) -> Image.Image:
    """A drawing (RGBA) that is no sticker: a quarter of one, a shuffled one, or a blend of two."""
    names = rng.sample(list(OBJECTS), 2)
    side = rng.randint(18, 42)
    first, second = (sized(name, side).resize((side, side)) for name in names)
    kind = rng.choice(("quarter", "disorder", "both"))
    if kind == "quarter":
        left, top = rng.choice((0, side // 2)), rng.choice((0, side // 2))
        return first.crop((left, top, left + side // 2, top + side // 2))
    return shuffled(rng, first, side // 3) if kind == "disorder" else Image.blend(first, second, 0.5)


def destroy(rng: random.Random, picture: Image.Image) -> Image.Image:
    """The picture made unrecognisable: shuffled, reduced to a few blots, blurred, or under noise."""
    kind = rng.choice(("disorder", "blots", "blur", "noise"))
    if kind == "blur":
        return picture.filter(ImageFilter.GaussianBlur(rng.uniform(2.5, 5)))
    if kind == "disorder":
        return shuffled(rng, picture, rng.choice((6, 8)))
    if kind == "blots":
        blots = picture.resize((rng.randint(5, 8), rng.randint(5, 8)), Image.Resampling.BOX)
        return blots.resize(picture.size, Image.Resampling.BICUBIC)
    grain = rng.choice((1, 2, 4, 8))
    size = (picture.height // grain, picture.width // grain, 3)
    noise = np.random.default_rng(rng.getrandbits(32)).integers(0, 256, size, dtype=np.uint8)
    smooth = rng.choice((Image.Resampling.NEAREST, Image.Resampling.BICUBIC))
    return Image.blend(picture, Image.fromarray(noise).resize(picture.size, smooth), rng.uniform(0.75, 1.0))


def shuffled(rng: random.Random, picture: Image.Image, side: int) -> Image.Image:
    """The picture with its squares in random order."""
    corners = [(x, y) for y in range(0, picture.height, side) for x in range(0, picture.width, side)]
    result = picture.copy()
    for (x, y), (u, v) in zip(corners, rng.sample(corners, len(corners)), strict=True):
        result.paste(picture.crop((u, v, u + side, v + side)), (x, y))
    return result


def warp(rng: random.Random, pixels: Tensor, share: float = 0.35, most: float = 2.0) -> Tensor:
    """Warp some pictures of a batch (B, 3, H, W) by smooth random displacements of about `most` pixels at most."""
    warped = [index for index in range(len(pixels)) if rng.random() < share]
    if not warped:
        return pixels
    generator = torch.Generator().manual_seed(rng.getrandbits(32))
    size = pixels.shape[-1]
    waves = torch.randn(len(warped), 2, 7, 7, generator=generator) * most / size
    grid = F.affine_grid(torch.eye(2, 3).expand(len(warped), 2, 3), list(pixels[warped].shape), align_corners=False)
    grid = grid + F.interpolate(waves, size=pixels.shape[-2:], mode="bicubic").permute(0, 2, 3, 1)
    pixels = pixels.clone()
    pixels[warped] = F.grid_sample(pixels[warped], grid, padding_mode="border", align_corners=False)
    return pixels
