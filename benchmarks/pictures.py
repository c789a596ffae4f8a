"""From the bytes of a JPEG to tiles on one core: the fast way of training, against Pillow.

    python benchmarks/pictures.py [--json] [--repeats 15]

Three ways to read a photo of 1600 x 900, in turns:
    fast        data.pictures.decode and tile_image, normalised as the visual tokenizer does it on arrival
    plain       Pillow written out: open, convert, resize, crop, each tile to floats
    exact       open_image and tile_image of a PIL picture: what evaluation and inference do
`ratio` is plain / fast in medians of CPU time; `loader_ratio` leaves out the normalisation of the fast way, which
happens on the device and not in the loader. `worst` is the largest difference from exact's pixels, in levels of 255.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from seedx.config import SEED_X_17B, TilingConfig
from seedx.data import pictures
from seedx.images import open_image
from seedx.tiling import CLIP_MEAN, CLIP_STD, choose_grid, normalise, tile_image

SIZE = (1600, 900)
# The release's grids (of which this photo takes 2 x 1), and 3 x 2.
TILINGS = (SEED_X_17B.tiling, dataclasses.replace(SEED_X_17B.tiling, grids=("3x2",)))


def photo() -> bytes:
    """A JPEG of about 300 KB: large and small shapes, with a little noise."""
    rng = np.random.default_rng(0)
    pixels = np.zeros((SIZE[1], SIZE[0], 3))
    for cells, weight in ((8, 0.6), (40, 0.3), (200, 0.1)):
        grid = PIL.Image.fromarray(rng.integers(0, 256, (cells * 9 // 16 + 1, cells, 3), dtype=np.uint8))
        pixels += weight * np.asarray(grid.resize(SIZE, PIL.Image.Resampling.BICUBIC))
    pixels += rng.normal(0, 4, pixels.shape)
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def loaded(data: bytes, config: TilingConfig) -> Tensor:
    return tile_image(pictures.decode(data), config).pixels


def fast(data: bytes, config: TilingConfig) -> Tensor:
    return normalise(loaded(data, config))


def exact(data: bytes, config: TilingConfig) -> Tensor:
    return tile_image(open_image(data), config).pixels


def plain(data: bytes, config: TilingConfig) -> Tensor:
    image = PIL.Image.open(io.BytesIO(data)).convert("RGB")
    columns, rows = choose_grid(image.size, config)
    side = config.tile
    filled = image.resize((columns * side, rows * side), PIL.Image.Resampling.BICUBIC)
    boxes = [(x * side, y * side, (x + 1) * side, (y + 1) * side) for y in range(rows) for x in range(columns)]
    tiles = [*(filled.crop(box) for box in boxes), image.resize((side, side), PIL.Image.Resampling.BICUBIC)]
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
    return torch.stack([(torch.from_numpy(np.array(tile)).permute(2, 0, 1) / 255 - mean) / std for tile in tiles])


WAYS: dict[str, Callable[[bytes, TilingConfig], Tensor]] = {
    "fast": fast,
    "loaded": loaded,
    "plain": plain,
    "exact": exact,
}


def measure(config: TilingConfig, repeats: int) -> dict[str, float | str]:
    data = photo()
    difference = (fast(data, config) - exact(data, config)).abs() * torch.tensor(CLIP_STD).view(3, 1, 1) * 255
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(repeats):
        for name, way in WAYS.items():
            start = time.process_time()
            way(data, config)
            seconds[name].append(time.process_time() - start)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        "grid": "x".join(map(str, choose_grid(SIZE, config))),
        **{f"{name}_per_second": 1 / medians[name] for name in WAYS},
        "ratio": medians["plain"] / medians["fast"],
        "loader_ratio": medians["plain"] / medians["loaded"],
        "exact_ratio": medians["exact"] / medians["fast"],
        "worst": difference.max().item(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=15, help="runs of each way")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = [measure(config, options.repeats) for config in TILINGS]
    if options.json:
        print(json.dumps({"size": SIZE, "simplejpeg": pictures.simplejpeg is not None, "results": results}, indent=1))
        return
    for r in results:
        speeds = ", ".join(f"{name} {r[f'{name}_per_second']:.0f}" for name in WAYS)
        print(f"grid {r['grid']}, images a second: {speeds}")
        print(f"    ratio {r['ratio']:.2f} (loader {r['loader_ratio']:.2f}), worst difference {r['worst']:.2f} levels")


if __name__ == "__main__":
    main()
