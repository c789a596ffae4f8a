"""The picture itself from the pooled features: what makes them say where an eye is, to the pixel.

By names, boxes and a coarse redrawing alone, erasing a face hardly moves the features, and no de-tokenizer can draw
what they do not say. So a light decoder redraws the tile at its own size, and its loss weighs thin dark detail most.

Shapes:
    N images, L pooled features of D numbers, S side in pixels, `CELLS` x `CELLS` cells of P x P pixels
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from seedx_stickers.scenes import TILE
from seedx_stickers.training.vision_tiles import CELLS

SIDE = TILE // CELLS  # P
BASE, LIGHT, DARK = 0.3, 4.0, 8.0  # weights of a pixel: of every one, and for what is lighter or darker than around it
AROUND = 9  # pixels


class PictureHead(nn.Module):
    """(N, L, D), each about `cells` neighbouring cells of a row -> (N, 3, S, S) in -1..1."""

    def __init__(self, dim: int, cells: int) -> None:
        super().__init__()
        self.cells = cells
        self.norm = nn.LayerNorm(dim)
        self.hidden = nn.Linear(dim, 4 * dim)
        self.out = nn.Linear(4 * dim, cells * 3 * SIDE**2)
        self.finer = nn.Sequential(nn.Conv2d(3, 32, 5, padding=2), nn.GELU(), nn.Conv2d(32, 3, 5, padding=2))
        nn.init.zeros_(self.finer[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.finer[-1].bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Tensor:
        x = self.out(F.gelu(self.hidden(self.norm(features)))).unflatten(-1, (self.cells, -1)).flatten(1, 2)
        x = x.unflatten(1, (CELLS, CELLS)).permute(0, 3, 1, 2)
        picture = F.pixel_shuffle(x, SIDE)
        finer: Tensor = self.finer(picture)
        return (picture + finer).float()


def detail(pixels: Tensor) -> Tensor:
    """The weight of each pixel, (N, 1, S, S): large on lines and dots, larger on dark ones.

    pixels: (N, 3, S, S) in -1..1.
    """
    grey = pixels.mean(dim=1, keepdim=True)
    padded = F.pad(grey, (AROUND // 2,) * 4, mode="replicate")
    around = F.avg_pool2d(F.avg_pool2d(padded, (AROUND, 1), stride=1), (1, AROUND), stride=1)  # 18 sums a pixel, not 81
    above = grey - around
    return BASE + LIGHT * above.clamp(min=0) + DARK * (-above).clamp(min=0)


def picture_loss(drawn: Tensor, pixels: Tensor) -> Tensor:
    """Sum of the weighted squared errors, over three channels."""
    return (detail(pixels) * (drawn - pixels).square()).sum()
