"""The fast way to tiles is held against the exact one: `open_image` and `tile_image` of a PIL picture."""

import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from seedx.config import TINY, TilingConfig
from seedx.data import pictures
from seedx.images import ORIENTATION, open_image
from seedx.tiling import CLIP_STD, normalise, thumbnail, tile_image

CLOSE = 2  # levels of 255


def photo(width: int, height: int) -> PIL.Image.Image:
    """Large shapes, small ones and noise."""
    rng = np.random.default_rng(width)
    coarse = PIL.Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((width, height))
    pixels = np.asarray(coarse, dtype=np.int16) + rng.integers(-40, 41, (height, width, 3))
    pixels[::7, ::5] = 255
    return PIL.Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def encoded(picture: PIL.Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def exact(data: bytes) -> torch.Tensor:
    return torch.from_numpy(np.array(open_image(data))).permute(2, 0, 1)


@pytest.fixture
def no_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow may read the header, not the pixels."""

    def refuse(*_: object) -> None:
        raise AssertionError("decoded by Pillow")

    monkeypatch.setattr(pictures.images, "decode", refuse)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_has_pillows_pixels_in_any_orientation(orientation: int, request: pytest.FixtureRequest) -> None:
    exif = PIL.Image.Exif()
    exif[ORIENTATION] = orientation
    data = encoded(photo(70, 33), exif=exif)
    wanted = exact(data)
    request.getfixturevalue("no_pillow")
    assert torch.equal(pictures.decode(data), wanted)


def test_grey_subsampled_progressive_and_optimised_jpegs_are_decoded_fast(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kinds = [
        encoded(photo(70, 33).convert("L")),
        encoded(photo(70, 33), subsampling=2, quality=30),
        encoded(photo(70, 33), subsampling=0, progressive=True),
        encoded(photo(70, 33), "MPO", save_all=True, append_images=[photo(33, 70)]),
    ]
    wanted = [exact(data) for data in kinds]
    request.getfixturevalue("no_pillow")
    for data, pixels in zip(kinds, wanted, strict=True):
        (tmp_path / "a.jpg").write_bytes(data)
        assert torch.equal(pictures.decode(data), pixels)
        assert torch.equal(pictures.decode(tmp_path / "a.jpg"), pixels)


def test_other_formats_and_modes_are_decoded_by_pillow() -> None:
    half = PIL.Image.new("RGBA", (4, 3), (255, 0, 0, 100))
    for data in (
        encoded(half, "PNG"),
        encoded(photo(9, 7).quantize(16), "PNG"),
        encoded(photo(9, 7), "WEBP"),
        encoded(PIL.Image.new("CMYK", (8, 8), (255, 0, 0, 0))),
    ):
        assert torch.equal(pictures.decode(data), exact(data))
        assert torch.equal(pictures.decode(io.BytesIO(data)), exact(data))


def test_broken_and_huge_pictures_raise_the_errors_of_open_image(tmp_path: Path) -> None:
    data = encoded(photo(70, 33))
    (tmp_path / "a.jpg").write_bytes(data[:-400])
    with pytest.raises(ValueError, match="damaged or truncated"):
        pictures.decode(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"a\.jpg' is damaged or truncated"):
        pictures.decode(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match="is not a picture"):
        pictures.decode(b"text")
    with pytest.raises(ValueError, match=r"70 x 33 pixels, more than the 2,309 allowed"):
        pictures.decode(data, max_pixels=70 * 33 - 1)


def test_the_size_is_checked_before_anything_is_decoded(no_pillow: None) -> None:
    huge = bytearray(encoded(photo(16, 16)))
    at = huge.index(b"\xff\xc0") + 5  # height and width in the frame's header
    huge[at : at + 4] = b"\xff\xff\xff\xff"
    with pytest.raises(ValueError, match="65535 x 65535 pixels, more than"):
        pictures.decode(bytes(huge))


@pytest.mark.parametrize("size", [(1600, 900), (300, 900), (120, 80), (1, 1), (2000, 3), (1345, 897)])
@pytest.mark.parametrize("config", [TilingConfig(), TilingConfig(grids=("3x2",)), TINY.tiling])
def test_fast_tiles_are_the_exact_ones_within_two_levels(size: tuple[int, int], config: TilingConfig) -> None:
    data = encoded(photo(*size), "PNG")
    fast, slow = tile_image(pictures.decode(data), config), tile_image(open_image(data), config)
    assert fast.pixels.dtype == torch.uint8
    assert fast.pixels.shape == slow.pixels.shape and torch.equal(fast.positions, slow.positions)
    levels = 255 * torch.tensor(CLIP_STD)[:, None, None] * (normalise(fast.pixels) - slow.pixels)
    assert levels.abs().max() < CLOSE + 0.01
    assert levels.abs().mean() < 0.1
    assert torch.equal(fast.pixels[-1], thumbnail(pictures.decode(data), config.tile))


def test_without_the_extra_pillow_decodes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(photo(70, 33))
    monkeypatch.setattr(pictures, "simplejpeg", None)
    assert torch.equal(pictures.decode(data), exact(data))
