"""An image of any size as square tiles that the visual tokenizer can read (paper, equation 1).

A grid of columns x rows is chosen, the image is resized to fill it exactly (its ratio may change a little), and cut
into tiles in raster order. The whole image, resized to one tile, comes last: the thumbnail. Each carries its centre in
0..1:

    a 900 x 400 image, tiles of 448, policy "fit"     ceil(900 / 448) x ceil(400 / 448) = 3 x 1, resized to 1344 x 448
    tiles at (1/6, 1/2), (3/6, 1/2), (5/6, 1/2) and the thumbnail at (1/2, 1/2): N = 4

A PIL picture is resized by PIL, exactly as the release does it. A picture decoded to a tensor (`data/pictures.py`, for
training) is resized by torch, within 2 levels of PIL's result, and left as uint8, a quarter of the bytes to pass on and
move to the device; the visual tokenizer normalises it there.

Shapes: N tiles with the thumbnail, S side of a tile in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import PIL.Image
import torch
import torch.nn.functional as F
from torch import Tensor

from seedx.config import TilingConfig
from seedx.errors import SeedxError

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

Grid = tuple[int, int]  # columns, rows
Picture = PIL.Image.Image | Tensor  # opened, in RGB; as a tensor (3, H, W) uint8
Ratio = Literal["stretch", "crop", "pad"]
BICUBIC, BILINEAR = PIL.Image.Resampling.BICUBIC, PIL.Image.Resampling.BILINEAR


@dataclass(frozen=True)
class Tiles:
    """
    Attributes:
        pixels: (N, 3, S, S) pixels, normalised or uint8, or (N, Q, D) features that the visual tokenizer made of them;
            thumbnail last.
        positions: (N, 2) centre (x, y) of each in 0..1.
    """

    pixels: Tensor
    positions: Tensor

    def __len__(self) -> int:
        return len(self.pixels)


def choose_grid(size: tuple[int, int], config: TilingConfig) -> Grid:
    """Columns and rows for an image of (width, height) pixels, by `config.policy`.

    Raises:
        SeedxError: an unknown policy, or a grid that is not written as columns x rows, "2x1".
    """
    if config.policy == "fit":
        return fit(size, config.tile, config.max_tiles)
    if config.policy == "pinpoints":
        return pinpoints(size, config.tile, [parse_grid(grid) for grid in config.grids])
    raise SeedxError(f'the tiling policy is "fit" or "pinpoints", not {config.policy!r}')


def tile_count(size: tuple[int, int], config: TilingConfig) -> int:
    """Tiles that an image of (width, height) pixels gives, the thumbnail included."""
    columns, rows = choose_grid(size, config)
    return 1 if columns * rows == 1 and not config.single_tile else columns * rows + 1


def tile_image(picture: Picture, config: TilingConfig) -> Tiles:
    """Cut a picture into tiles: normalised ones of a PIL picture, uint8 ones of a tensor (see the top of the file)."""
    columns, rows = choose_grid(picture_size(picture), config)
    tile = config.tile
    tiles = [resized(picture, (tile, tile))[None]]
    if columns * rows > 1 or config.single_tile:
        tiles.insert(0, _cut(resized(picture, (columns * tile, rows * tile)), tile))
    pixels = torch.cat(tiles)
    positions = tile_positions((columns, rows))[-len(pixels) :]
    return Tiles(pixels if isinstance(picture, Tensor) else normalise(pixels), positions)


def tiles_of(picture: Picture | Tiles, config: TilingConfig) -> Tiles:
    """The tiles of a picture that is read; tiles stay as they are."""
    return picture if isinstance(picture, Tiles) else tile_image(picture, config)


def count_tiles(picture: Picture | Tiles, config: TilingConfig) -> int:
    """`len(tiles_of(picture, config))`, from the size alone."""
    return len(picture) if isinstance(picture, Tiles) else tile_count(picture_size(picture), config)


def target_of(picture: Picture | Tiles, config: TilingConfig) -> Tensor:
    """(3, S, S) or (Q, D): the thumbnail, which is the target of a picture that is drawn."""
    return picture.pixels[-1] if isinstance(picture, Tiles) else thumbnail(picture, config.tile)


def picture_size(picture: Picture) -> tuple[int, int]:
    """Width and height."""
    return (picture.shape[2], picture.shape[1]) if isinstance(picture, Tensor) else picture.size


def resized(picture: Picture, size: tuple[int, int]) -> Tensor:
    """The picture stretched to (width, height), bicubic: (3, height, width) uint8."""
    if not isinstance(picture, Tensor):
        return _pixels(stretch(picture, size, BICUBIC))
    if height_first(picture_size(picture), size):
        picture = _interpolate(picture, (picture.shape[2], size[1]))
    return _interpolate(picture, size)  # torch begins with the width


def stretch(image: PIL.Image.Image, size: tuple[int, int], resample: PIL.Image.Resampling) -> PIL.Image.Image:
    """`image.resize(size, resample)` with the same pixels under any version of Pillow."""
    between = (image.width, size[1]) if height_first(image.size, size) else (size[0], image.height)
    return image.resize(between, resample).resize(size, resample)


def height_first(size: tuple[int, int], to: tuple[int, int]) -> bool:
    """Whether the pass over the height comes first in resizing (width, height): in Pillow 13 where much of it goes.

    Between the passes pixels are rounded and clipped, so the order shows: by 26 levels in a noisy picture of 300 x 900.
    Pillow before 13, like torch, always begins with the width.
    """
    return to[1] < size[1] and size[1] - to[1] > 2 * (size[0] - to[0])


def _interpolate(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(pixels[None], size=size[::-1], mode="bicubic", antialias=True)[0]


def _cut(filled: Tensor, tile: int) -> Tensor:
    """(3, rows * S, columns * S) -> (rows * columns, 3, S, S), in raster order."""
    rows, columns = filled.shape[1] // tile, filled.shape[2] // tile
    return filled.reshape(3, rows, tile, columns, tile).permute(1, 3, 0, 2, 4).flatten(0, 1)


def tile_positions(grid: Grid) -> Tensor:
    """(columns * rows + 1, 2): centre (x, y) of each tile in raster order, and (0.5, 0.5) for the thumbnail."""
    columns, rows = grid
    centres = [((x + 0.5) / columns, (y + 0.5) / rows) for y in range(rows) for x in range(columns)]
    return torch.tensor([*centres, (0.5, 0.5)], dtype=torch.float32)


def thumbnail(picture: Picture, tile: int) -> Tensor:
    """(3, S, S): the whole picture as one tile, as it is read, and as it is the target of an image drawn (bicubic)."""
    pixels = resized(picture, (tile, tile))
    return pixels if isinstance(picture, Tensor) else normalise(pixels)


def one_tile(image: PIL.Image.Image, tile: int, ratio: Ratio = "stretch") -> Tensor:
    """(3, S, S): the whole image as one tile by the transform alone (bilinear), as the de-tokenizer reads it."""
    return to_tensor(square(image, tile, ratio, BILINEAR))


def square(image: PIL.Image.Image, side: int, ratio: Ratio, resample: PIL.Image.Resampling) -> PIL.Image.Image:
    """The image as a square of `side` pixels: stretched, its middle cropped, or padded with CLIP's mean colour."""
    width, height = image.size
    if ratio == "crop":
        scaled = (side, int(side * height / width)) if width <= height else (int(side * width / height), side)
        x, y = (round((length - side) / 2) for length in scaled)
        return stretch(image, scaled, resample).crop((x, y, x + side, y + side))
    if ratio == "pad":
        mean = tuple(int(255 * channel) for channel in CLIP_MEAN)
        padded = PIL.Image.new("RGB", (max(image.size),) * 2, mean)
        padded.paste(image, ((padded.width - width) // 2, (padded.height - height) // 2))
        image = padded
    return stretch(image, (side, side), resample)


def to_tensor(image: PIL.Image.Image, mean: Iterable[float] = CLIP_MEAN, std: Iterable[float] = CLIP_STD) -> Tensor:
    """An RGB image as (3, H, W) float32, scaled to 0..1 and normalised by channel."""
    return normalise(_pixels(image), mean, std)


def normalise(pixels: Tensor, mean: Iterable[float] = CLIP_MEAN, std: Iterable[float] = CLIP_STD) -> Tensor:
    """(..., 3, H, W) uint8 -> float32, scaled to 0..1 and normalised by channel."""
    mean, std = (torch.tensor(tuple(values), device=pixels.device)[:, None, None] for values in (mean, std))
    return pixels.to(torch.float32, copy=True).div_(255).sub_(mean).div_(std)


def to_picture(pixels: Tensor) -> PIL.Image.Image:
    """(3, H, W) in 0..1, rounded and cut to it -> an RGB picture."""
    values = (pixels.float().clamp(0, 1) * 255).round().to(torch.uint8)
    return PIL.Image.fromarray(values.permute(1, 2, 0).cpu().numpy())


def _pixels(image: PIL.Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image, dtype=np.uint8)).permute(2, 0, 1)


def fit(size: tuple[int, int], tile: int, max_tiles: int) -> Grid:
    """The fewest tiles that hold the image at its own size, or, past `max_tiles`, scaled down no more than needed.

    4000 x 4000 with tiles of 448 and at most 9 of them: 9 x 9 is too many, and among the grids allowed 3 x 3 keeps
    most.
    """
    columns, rows = math.ceil(size[0] / tile), math.ceil(size[1] / tile)
    if columns * rows <= max_tiles:
        return columns, rows
    if max_tiles < 1:
        raise SeedxError(f"max_tiles is at least 1, not {max_tiles}")
    allowed = [(c, r) for c in range(1, min(columns, max_tiles) + 1) for r in range(1, min(rows, max_tiles // c) + 1)]
    return max(allowed, key=lambda grid: (min(grid[0] * tile / size[0], grid[1] * tile / size[1]), -grid[0] * grid[1]))


def pinpoints(size: tuple[int, int], tile: int, grids: list[Grid]) -> Grid:
    """The release's choice: of the picks by resolution and by ratio, the one of smaller area, the first when equal."""
    if not grids:
        raise SeedxError('the policy "pinpoints" needs at least one grid, such as "1x1"')
    by_resolution, by_ratio = least_waste(size, tile, grids), nearest_ratio(size, tile, grids)
    return min((by_resolution, by_ratio), key=lambda grid: grid[0] * grid[1])


def least_waste(size: tuple[int, int], tile: int, grids: list[Grid]) -> Grid:
    """The grid that keeps most pixels of the image, scaled with its ratio to lie inside; then the one with least left
    over.

    An image is not counted with more pixels than it has, so a small one fits every grid and takes the smallest.
    """

    def kept_and_waste(grid: Grid) -> tuple[int, int]:
        width, height = grid[0] * tile, grid[1] * tile
        scale = min(width / size[0], height / size[1])
        kept = min(int(size[0] * scale) * int(size[1] * scale), size[0] * size[1])
        return kept, kept - width * height

    return max(grids, key=kept_and_waste)


def nearest_ratio(size: tuple[int, int], tile: int, grids: list[Grid]) -> Grid:
    """The grid of nearest aspect ratio; then of nearest area."""

    def distances(grid: Grid) -> tuple[float, float]:
        width, height = grid[0] * tile, grid[1] * tile
        return _times(height / width, size[1] / size[0]), _times(width * height, size[0] * size[1])

    return min(grids, key=distances)


def parse_grid(text: str) -> Grid:
    """ "3x2" -> (3, 2): three columns, two rows."""
    columns, _, rows = text.partition("x")
    if not (columns.isdigit() and rows.isdigit() and int(columns) and int(rows)):
        raise SeedxError(f'a grid is columns x rows, such as "3x2", not {text!r}')
    return int(columns), int(rows)


def _times(a: float, b: float) -> float:
    """How many times the larger is the smaller."""
    return max(a, b) / min(a, b)
