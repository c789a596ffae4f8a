from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from seedx.config import TINY, TilingConfig
from seedx.tiling import (
    BICUBIC,
    choose_grid,
    fit,
    height_first,
    one_tile,
    parse_grid,
    resized,
    thumbnail,
    tile_count,
    tile_image,
)
from seedx.verify import kind

GOLDEN = Path(__file__).parent / "golden"
FIT = TilingConfig(tile=20, policy="fit", max_tiles=6, single_tile=False)


def picture(width: int, height: int) -> PIL.Image.Image:
    """Red grows to the right, green downwards."""
    red = PIL.Image.linear_gradient("L").rotate(90).resize((width, height))
    return PIL.Image.merge("RGB", (red, PIL.Image.linear_gradient("L").resize((width, height)), red))


@pytest.mark.parametrize("name", ["f_any_res", "f_any_res_pixels"])
def test_golden(name: str) -> None:
    results = kind(name)(GOLDEN, name)
    assert len(results) > 10
    assert [check for check, error in results if error] == []


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((20, 20), (1, 1)),
        ((21, 20), (2, 1)),
        ((1, 1), (1, 1)),
        ((60, 40), (3, 2)),
        ((20, 120), (1, 6)),
        ((41, 5), (3, 1)),
    ],
)
def test_fit_is_the_fewest_tiles_that_hold_the_image(size: tuple[int, int], grid: tuple[int, int]) -> None:
    assert choose_grid(size, FIT) == grid


@pytest.mark.parametrize(
    ("size", "grid"), [((4000, 4000), (2, 2)), ((9000, 20), (6, 1)), ((90, 40), (3, 2)), ((1, 10**6), (1, 6))]
)
def test_fit_scales_down_past_the_limit_of_tiles(size: tuple[int, int], grid: tuple[int, int]) -> None:
    assert choose_grid(size, FIT) == grid


def test_no_allowed_grid_keeps_more_of_the_image() -> None:
    def kept(size: tuple[int, int], grid: tuple[int, int]) -> float:
        return min(grid[0] * 20 / size[0], grid[1] * 20 / size[1], 1.0)

    grids = [(c, r) for c in range(1, 8) for r in range(1, 8) if c * r <= 7]
    for width in range(5, 300, 31):
        for height in range(5, 300, 29):
            chosen = fit((width, height), 20, 7)
            assert chosen in grids
            assert kept((width, height), chosen) == max(kept((width, height), grid) for grid in grids)


def test_tiles_come_in_raster_order_with_the_thumbnail_last() -> None:
    tiles = tile_image(picture(60, 40), FIT)
    assert tiles.pixels.shape == (7, 3, 20, 20)
    assert torch.allclose(tiles.positions[:3, 0], torch.tensor([1, 3, 5]) / 6)
    assert tiles.positions[:, 1].tolist() == [0.25] * 3 + [0.75] * 3 + [0.5]
    red, green = tiles.pixels[:6, 0].mean((1, 2)), tiles.pixels[:6, 1].mean((1, 2))
    assert red[0] < red[1] < red[2] and torch.allclose(red[:3], red[3:], atol=1e-2)
    assert (green[:3] < green[3:]).all()
    assert torch.equal(tiles.pixels[-1], thumbnail(picture(60, 40), 20))


@pytest.mark.parametrize(
    ("size", "to", "expected"),
    [
        ((300, 900), (1344, 896), True),
        ((300, 900), (100, 300), True),
        ((1600, 900), (896, 448), False),
        ((1600, 900), (448, 448), False),
        ((300, 100), (100, 300), False),
        ((20, 40), (17, 34), False),  # the height loses just twice as much
        ((20, 40), (17, 33), True),
    ],
)
def test_the_order_of_the_passes_is_that_of_pillow_13(
    size: tuple[int, int], to: tuple[int, int], expected: bool
) -> None:
    assert height_first(size, to) is expected
    between = (size[0], to[1]) if expected else (to[0], size[1])
    noise = PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    pixels = np.asarray(noise.resize(between, BICUBIC).resize(to, BICUBIC))
    assert (resized(noise, to).permute(1, 2, 0).numpy() == pixels).all()


@pytest.mark.parametrize(("size", "single", "count"), [((10, 10), False, 1), ((10, 10), True, 2), ((50, 10), False, 4)])
def test_a_single_tile_is_left_out_if_asked(size: tuple[int, int], single: bool, count: int) -> None:
    config = replace(FIT, single_tile=single)
    tiles = tile_image(picture(*size), config)
    assert len(tiles) == len(tiles.positions) == tile_count(size, config) == count
    assert tiles.positions[-1].tolist() == [0.5, 0.5]


def test_one_pixel_becomes_a_tile_of_its_colour() -> None:
    tiles = tile_image(PIL.Image.new("RGB", (1, 1), "orange"), TINY.tiling)
    assert tiles.pixels.shape == (1, 3, 96, 96)
    assert torch.equal(tiles.pixels[0], one_tile(PIL.Image.new("RGB", (5, 5), "orange"), 96))


def test_a_panorama_keeps_small_things_that_the_thumbnail_loses() -> None:
    wide = PIL.Image.new("RGB", (384, 96), "white")
    wide.paste("black", (200, 40, 203, 43))
    tiles = tile_image(wide, TINY.tiling).pixels
    assert tiles[:-1].min() < tiles[-1].min() - 0.5


def test_users_mistakes() -> None:
    with pytest.raises(ValueError, match='"fit" or "pinpoints"'):
        choose_grid((5, 5), TilingConfig(policy="best"))
    with pytest.raises(ValueError, match="columns x rows"):
        parse_grid("2*1")
    with pytest.raises(ValueError, match="at least one grid"):
        choose_grid((5, 5), TilingConfig(grids=()))
