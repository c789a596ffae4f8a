"""The judge: a small network that says what a sticker picture shows. It shares nothing with the model that it scores.

Fully convolutional, at one cell for every 4 x 4 pixels. Each cell says to which stickers' middles it belongs (one
sigmoid per sticker: an animal and the hat on it may claim the same cell), and votes for their centre and size. A
picture enters at 96 pixels for its shorter side. It is trained by `judge_training.py`, on renders alone.

Shapes: B pictures, H and W cells (24 for a square picture), C stickers, G vote groups.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seedx.config import from_dict, to_dict
from seedx.errors import SeedxError
from seedx_stickers.art import BACKGROUNDS, OBJECTS, aspect

WEIGHTS = Path(__file__).parent / "assets" / "judge"
SIDE = 96  # pixels of the shorter side
CELL = 4  # pixels of a cell
FLOOR = 0.55  # a sticker is seen from this probability on
SHARED = 0.4  # two claims that share more than this of the smaller box can't both be right


@dataclass(frozen=True)
class Sighting:
    """A sticker in a picture. x and y: its centre, as fractions of width and height. size: its longer side, as a
    fraction of the picture's shorter side."""

    name: str
    x: float
    y: float
    size: float
    score: float = 1.0


@dataclass(frozen=True)
class Seen:
    """What a picture shows. A worn hat or pair of sunglasses is an object of its own, standing on an animal."""

    objects: tuple[Sighting, ...]
    background: str


@dataclass(frozen=True)
class JudgeConfig:
    """The names are stored with the weights: their order is the order of the outputs."""

    objects: tuple[str, ...] = tuple(OBJECTS)
    backgrounds: tuple[str, ...] = tuple(BACKGROUNDS)
    fine_width: int = 64
    coarse_width: int = 104
    head_width: int = 96

    @functools.cached_property
    def groups(self) -> tuple[int, ...]:
        """The vote group of each sticker. Wearable things have their own, for they share cells with who wears them."""
        wearable = [name for name in self.objects if OBJECTS[name].wearable]
        return tuple(1 + wearable.index(name) if name in wearable else 0 for name in self.objects)


@dataclass(frozen=True)
class Maps:
    """
    Attributes:
        stickers: (B, C, H, W) logits.
        votes: (B, G, 3, H, W): x and y of the centre from the cell's middle, in cells; log of the size in cells.
        background: (B, backgrounds) logits.
    """

    stickers: Tensor
    votes: Tensor
    background: Tensor


def _convolution(width_in: int, width_out: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(width_in, width_out, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(width_out), nn.ReLU())


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _convolution(width, width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.norm(self.second(self.first(x))))


class Judge(nn.Module):
    def __init__(self, config: JudgeConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or JudgeConfig()
        fine, coarse, head = config.fine_width, config.coarse_width, config.head_width
        self.stem = nn.Sequential(nn.PixelUnshuffle(CELL), _convolution(3 * CELL**2, fine), Block(fine), Block(fine))
        self.coarse = nn.Sequential(_convolution(fine, coarse, stride=2), Block(coarse), Block(coarse))
        self.back = nn.Sequential(nn.Conv2d(coarse, fine, 1), nn.Upsample(scale_factor=2))
        self.head = _convolution(fine, head)
        self.stickers = nn.Conv2d(head, len(config.objects), 1)
        self.votes = nn.Conv2d(head, 3 * (1 + max(config.groups)), 1)
        self.background = nn.Linear(coarse, len(config.backgrounds))
        nn.init.constant_(self.stickers.bias, -5.0)  # type: ignore[arg-type]  # nearly all cells show no such sticker

    def forward(self, pixels: Tensor) -> Maps:
        """pixels: (B, 3, 4H, 4W) in 0..1, H and W even."""
        fine = self.stem(2 * pixels - 1)
        coarse = self.coarse(fine)
        cells = self.head(fine + self.back(coarse))
        votes = self.votes(cells).unflatten(1, (-1, 3))
        return Maps(self.stickers(cells), votes, self.background(coarse.mean(dim=(2, 3))))

    @torch.inference_mode()
    def look(self, picture: Image.Image) -> Seen:
        """Name what is in a picture of any size, the surest sticker first."""
        pixels = to_pixels(shrink(picture))[None]
        maps = self(pixels.to(self.background.weight))
        background = self.config.backgrounds[int(maps.background.argmax())]
        high, wide = maps.stickers.shape[-2:]
        stretch = wide / min(wide, high), high / min(wide, high)
        return Seen(tuple(_distinct(self._claims(maps), stretch)), background)

    def _claims(self, maps: Maps) -> list[Sighting]:
        """Every cell's claim above the floor, the surest first: several for one and the same sticker."""
        chances = maps.stickers[0].float().sigmoid()
        high, wide = chances.shape[1:]
        claims = []
        for index, row, column in (chances > FLOOR).nonzero().tolist():
            dx, dy, size = maps.votes[0, self.config.groups[index], :, row, column].tolist()
            x, y = (column + 0.5 + dx) / wide, (row + 0.5 + dy) / high
            size = math.exp(min(size, 5.0)) / min(wide, high)
            claims.append(Sighting(self.config.objects[index], x, y, size, float(chances[index, row, column])))
        return sorted(claims, key=lambda claim: -claim.score)


def _distinct(claims: Iterable[Sighting], stretch: tuple[float, float]) -> list[Sighting]:
    """Keep the surest of all claims on one place. `stretch`: width and height in units of the shorter side."""
    kept: list[Sighting] = []
    for claim in claims:
        if not any(_rivals(claim, other, stretch) for other in kept):
            kept.append(claim)
    return kept


def _rivals(a: Sighting, b: Sighting, stretch: tuple[float, float]) -> bool:
    """Whether both can't be there: stickers do not cover each other, yet their boxes do.

    A thing may be worn, so only the same thing rivals a wearable one.
    """
    if a.name != b.name and (OBJECTS[a.name].wearable or OBJECTS[b.name].wearable):
        return False
    common = smaller = 1.0
    for axis, apart in enumerate(((a.x - b.x) * stretch[0], (a.y - b.y) * stretch[1])):
        sides = [item.size * min(1.0, aspect(item.name) ** (1, -1)[axis]) for item in (a, b)]
        common *= min(max(0.0, sum(sides) / 2 - abs(apart)), *sides)
        smaller *= min(sides)
    return common > SHARED * smaller


def shrink(picture: Image.Image) -> Image.Image:
    """The picture in RGB with its shorter side at 96 pixels and its ratio kept, to a whole number of double cells."""
    scale = SIDE / min(picture.size)
    wide, high = (2 * CELL * round(scale * side / (2 * CELL)) for side in picture.size)
    picture = picture.convert("RGB")
    return picture if picture.size == (wide, high) else picture.resize((wide, high), Image.Resampling.BICUBIC)


def to_pixels(picture: Image.Image) -> Tensor:
    """(3, height, width) in 0..1."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255


def save(judge: Judge, folder: Path) -> None:
    """Write the weights in half precision, and the names of the outputs."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {key: value.half() if value.is_floating_point() else value for key, value in judge.state_dict().items()}
    save_file(weights, folder / "judge.safetensors")
    (folder / "config.json").write_text(json.dumps(to_dict(judge.config), indent=2) + "\n")


def load(folder: Path = WEIGHTS) -> Judge:
    """The trained judge, in float32 and ready to look.

    Raises:
        SeedxError: there is none in the folder, or it was trained on other stickers than today's.
    """
    if not (folder / "judge.safetensors").is_file():
        raise SeedxError(f"no judge in {folder}; train one with: python -m seedx_stickers.judge_training")
    config: JudgeConfig = from_dict(JudgeConfig, json.loads((folder / "config.json").read_text()))
    if set(config.objects) != set(OBJECTS) or set(config.backgrounds) != set(BACKGROUNDS):
        odd = sorted(set(config.objects) ^ set(OBJECTS) | set(config.backgrounds) ^ set(BACKGROUNDS))
        raise SeedxError(f"the judge in {folder} knows other stickers than art.py ({', '.join(odd)}): train it again")
    judge = Judge(config)
    judge.load_state_dict({key: value.float() for key, value in load_file(folder / "judge.safetensors").items()})
    return judge.eval()
