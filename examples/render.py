"""Renders the example pictures of this folder: scenes of several sizes and ratios, and a "photo" of a printed one.

    python examples/render.py        needs the extra seedx[stickers]

The drawings are by OpenMoji (CC BY-SA 4.0), and so are these pictures.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from seedx_stickers.scenes import Scene, Sticker, render
from seedx_stickers.signs import Sign

TOWER = ["star", "moon", "rocket", "owl", "star", "bee", "balloon", "cloud", "star", "whale", "clock", "fox", "rainbow"]
TOWER += ["key", "snowman", "penguin"]
SCENES = {
    "meadow.png": Scene(96, 96, "meadow", (Sticker("cat", 0.28, 0.5, 0.4), Sticker("tree", 0.73, 0.5, 0.4))),
    "beach.png": Scene(
        384,
        288,
        "beach",
        (
            Sticker("dog", 0.25, 0.6, 0.42, ("sunglasses",)),
            Sticker("sun", 0.82, 0.2, 0.26),
            Sticker("sailboat", 0.7, 0.6, 0.34),
        ),
    ),
    "night.png": Scene(
        160,
        400,
        "night",
        (
            Sticker("moon", 0.78, 0.11, 0.32),
            Sticker("rocket", 0.25, 0.36, 0.4),
            Sticker("owl", 0.72, 0.58, 0.42),
            Sticker("house", 0.4, 0.84, 0.5),
        ),
    ),
    "panorama.png": Scene(
        768,
        192,
        "blue",
        (
            Sticker("penguin", 0.05, 0.6, 0.38),
            Sticker("star", 0.17, 0.25, 0.26),
            Sticker("bicycle", 0.28, 0.65, 0.38),
            Sticker("umbrella", 0.41, 0.35, 0.36),
            Sticker("star", 0.54, 0.7, 0.28),
            Sticker("pizza", 0.66, 0.3, 0.34),
            Sticker("star", 0.79, 0.62, 0.26),
            Sticker("snail", 0.93, 0.4, 0.36),
        ),
    ),
    "hat.png": Scene(96, 96, "white", (Sticker("hat", 0.5, 0.5, 0.5),)),
    "street.png": Scene(
        288,
        192,
        "meadow",
        (Sticker("red car", 0.25, 0.72, 0.4), Sticker("house", 0.78, 0.6, 0.5)),
        (Sign("BAKERY", 0.72, 0.2, 0.2, "yellow"), Sign("42", 0.2, 0.25, 0.22, "blue")),
    ),
    "pond.png": Scene(
        96,
        96,
        "blue",
        (Sticker("duck", 0.25, 0.3, 0.34), Sticker("duck", 0.74, 0.35, 0.34), Sticker("frog", 0.45, 0.76, 0.36)),
    ),
    "tower.png": Scene(
        128,
        1024,
        "snow",
        tuple(Sticker(name, 0.3 + 0.4 * (i % 2), 0.04 + 0.0605 * i, 0.42) for i, name in enumerate(TOWER)),
    ),
}
PRINTED = Scene(
    420,
    320,
    "yellow",
    (
        Sticker("panda", 0.22, 0.45, 0.4),
        Sticker("red book", 0.55, 0.68, 0.3),
        Sticker("cup", 0.82, 0.32, 0.32),
    ),
)


def photo(scene: Scene) -> Image.Image:
    """A print of the scene as a camera sees it: a little turned and blurred, darker at the corners, with noise."""
    turned = render(scene).rotate(1.5, Image.Resampling.BICUBIC, fillcolor=(250, 230, 140))
    blurred = turned.filter(ImageFilter.GaussianBlur(0.8))
    wide, high = blurred.size
    y, x = np.mgrid[-1 : 1 : high * 1j, -1 : 1 : wide * 1j]
    light = 1 - 0.18 * (x**2 + y**2)
    noise = np.random.default_rng(0).normal(0, 4, (high, wide, 1))
    pixels = np.asarray(blurred, np.float64) * light[..., None] * (1.0, 0.985, 0.95) + noise
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def main() -> None:
    folder = Path(__file__).parent
    for name, scene in SCENES.items():
        render(scene).save(folder / name, optimize=True)
    photo(PRINTED).save(folder / "photo.jpg", quality=88)


if __name__ == "__main__":
    main()
