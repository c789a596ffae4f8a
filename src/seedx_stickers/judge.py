"""The judge: a small detector of stickers and backgrounds. It shares nothing with the model whose drawings it scores.

Fully convolutional, with one cell for 4 x 4 pixels. Each cell predicts the stickers whose middle it belongs to (one
sigmoid per sticker, since an animal and its hat may share a cell), and votes for their centre and size. A picture is
resized to a shorter side of 96 pixels. `judge_training.py` trains the judge on renders alone.

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
STRICT = WEIGHTS.with_name("judge-strict")  # in training: it has learnt to reject blobs, too
SIDE = 96  # pixels of the shorter side
CELL = 4  # pixels of a cell
SHARED = 0.4  # detections that overlap by more than this share of the smaller box exclude each other


@dataclass(frozen=True)
class Sighting:
    """A detected sticker. x and y: its centre, in fractions of width and height. size: its longer side, in fractions of
    the picture's shorter side."""

    name: str
    x: float
    y: float
    size: float
    score: float = 1.0


@dataclass(frozen=True)
class Seen:
    """What a picture shows. A worn hat or pair of sunglasses is an object of its own."""

    objects: tuple[Sighting, ...]
    background: str


@dataclass(frozen=True)
class JudgeConfig:
    """Stored with the weights: the order of the names is the order of the outputs."""

    objects: tuple[str, ...] = tuple(OBJECTS)
    backgrounds: tuple[str, ...] = tuple(BACKGROUNDS)
    fine_width: int = 64
    coarse_width: int = 104
    head_width: int = 96
    floor: float = 0.55  # the least probability of a detection

    @functools.cached_property
    def groups(self) -> tuple[int, ...]:
        """The vote group of each sticker. Each wearable has its own, because it shares cells with its wearer."""
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
        nn.init.constant_(self.stickers.bias, -5.0)  # type: ignore[arg-type]  # nearly all cells are negative

    def forward(self, pixels: Tensor) -> Maps:
        """pixels: (B, 3, 4H, 4W) in 0..1, H and W even."""
        fine = self.stem(2 * pixels - 1)
        coarse = self.coarse(fine)
        cells = self.head(fine + self.back(coarse))
        votes = self.votes(cells).unflatten(1, (-1, 3))
        return Maps(self.stickers(cells), votes, self.background(coarse.mean(dim=(2, 3))))

    @torch.inference_mode()
    def look(self, picture: Image.Image) -> Seen:
        """What a picture of any size shows, stickers by descending score."""
        pixels = to_pixels(shrink(picture))[None]
        maps = self(pixels.to(self.background.weight))
        background = self.config.backgrounds[int(maps.background.argmax())]
        high, wide = maps.stickers.shape[-2:]
        stretch = wide / min(wide, high), high / min(wide, high)
        return Seen(tuple(_distinct(self._detections(maps), stretch)), background)

    def _detections(self, maps: Maps) -> list[Sighting]:
        """The detections of all cells by descending score: several of the same sticker."""
        chances = maps.stickers[0].float().sigmoid()
        high, wide = chances.shape[1:]
        detections = []
        for index, row, column in (chances > self.config.floor).nonzero().tolist():
            dx, dy, size = maps.votes[0, self.config.groups[index], :, row, column].tolist()
            x, y = (column + 0.5 + dx) / wide, (row + 0.5 + dy) / high
            size = math.exp(min(size, 5.0)) / min(wide, high)
            detections.append(Sighting(self.config.objects[index], x, y, size, float(chances[index, row, column])))
        return sorted(detections, key=lambda detection: -detection.score)


def _distinct(detections: Iterable[Sighting], stretch: tuple[float, float]) -> list[Sighting]:
    """Non-maximum suppression. `stretch`: width and height in units of the shorter side."""
    kept: list[Sighting] = []
    for detection in detections:
        if not any(_exclusive(detection, other, stretch) for other in kept):
            kept.append(detection)
    return kept


def _exclusive(a: Sighting, b: Sighting, stretch: tuple[float, float]) -> bool:
    """Whether two detections exclude each other: stickers do not overlap, so their boxes share little.

    A wearable overlaps its wearer, so it excludes only the same wearable.
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


def save_judge(judge: Judge, folder: Path) -> None:
    """Write the weights in half precision, and the config."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {key: value.half() if value.is_floating_point() else value for key, value in judge.state_dict().items()}
    save_file(weights, folder / "judge.safetensors")
    (folder / "config.json").write_text(json.dumps(to_dict(judge.config), indent=2) + "\n")


def load_judge(folder: Path = WEIGHTS) -> Judge:
    """The trained judge, in float32 and evaluation mode.

    Raises:
        SeedxError: there is none in the folder, or it was trained on other stickers than those of `art.py`.
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
