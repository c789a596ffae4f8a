import io
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

from seedx.images import large_enough, open_image


def encoded(picture: PIL.Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(width: int = 64, height: int = 48) -> PIL.Image.Image:
    return PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is and holds no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + b"\0\0\0\0IDAT"
    )


def test_path_bytes_file_and_picture_are_the_same(tmp_path: Path) -> None:
    data = encoded(noise())
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with path.open("rb") as file:
        opened = [open_image(source) for source in (path, str(path), data, file, noise())]
    assert all(picture.mode == "RGB" and picture.tobytes() == noise().tobytes() for picture in opened)


def test_a_missing_file_a_folder_and_text_have_errors_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no\.png' does not exist"):
        open_image(tmp_path / "no.png")
    with pytest.raises(ValueError, match="is a folder"):
        open_image(tmp_path)
    (tmp_path / "a.txt").write_text("not a picture")
    with pytest.raises(ValueError, match=r"a\.txt' is not a picture"):
        open_image(tmp_path / "a.txt")
    with pytest.raises(ValueError, match="not int"):
        open_image(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_truncated_picture_is_an_error(kind: str) -> None:
    data = encoded(noise(), kind)
    with pytest.raises(ValueError, match="damaged or truncated"):
        open_image(data[: len(data) // 2])


def test_a_truncated_picture_that_is_open_already_is_an_error() -> None:
    data = encoded(noise())
    with pytest.raises(ValueError, match="damaged or truncated"):
        open_image(PIL.Image.open(io.BytesIO(data[: len(data) // 2])))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("side", [14_000, 40_000])
def test_a_huge_picture_is_an_error_before_it_is_decoded(side: int) -> None:
    with pytest.raises(ValueError, match=f"has {side} x {side} pixels, more than the .* allowed"):
        open_image(png_header(side, side))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bound", [1000, 2000])  # the picture has 3072 pixels
def test_only_our_own_limit_counts(bound: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", bound)
    assert open_image(encoded(noise())).size == (64, 48)
    assert bound == PIL.Image.MAX_IMAGE_PIXELS


def test_the_limit_is_configurable() -> None:
    with pytest.raises(ValueError, match=r"64 x 48 pixels, more than the 3,000 allowed"):
        open_image(encoded(noise()), max_pixels=3000)
    with pytest.raises(ValueError, match="3,000 allowed"):
        open_image(noise(), max_pixels=3000)
    assert open_image(encoded(noise()), max_pixels=64 * 48).size == (64, 48)


def test_one_pixel_is_a_valid_picture() -> None:
    assert open_image(encoded(PIL.Image.new("RGB", (1, 1), "red"))).getpixel((0, 0)) == (255, 0, 0)


def test_exif_orientation_is_applied() -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    turned = open_image(encoded(noise(64, 48), exif=exif))
    assert turned.size == (48, 64)
    assert turned.tobytes() == noise(64, 48).transpose(PIL.Image.Transpose.ROTATE_270).tobytes()


@pytest.mark.parametrize("orientation", range(1, 10))
def test_every_orientation_is_transposed_once_as_by_pillow(orientation: int) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    data = encoded(noise(), exif=exif)
    opened = open_image(data)
    expected = PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(data)))
    assert opened.size == expected.size and opened.tobytes() == expected.tobytes()
    assert open_image(opened).tobytes() == open_image(encoded(opened)).tobytes() == opened.tobytes()


def test_exif_data_that_pillow_cannot_write_does_not_matter() -> None:
    exif = PIL.Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    data = bytearray(encoded(noise(), "JPEG", exif=exif))
    data[data.index(struct.pack(">HH", 0x010F, 2)) + 1] = 0  # the maker's name is now the picture's width
    with pytest.raises(struct.error):
        PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(data)))
    assert open_image(bytes(data)).size == (48, 64)


def test_transparent_pixels_are_white() -> None:
    half = PIL.Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    half.putpixel((1, 0), (0, 0, 0, 0))
    for picture in (half, half.convert("RGBA").quantize(), half.convert("LA")):
        assert open_image(encoded(picture)).getpixel((1, 0)) == (255, 255, 255)
    assert open_image(encoded(half)).getpixel((0, 0)) == (255, 0, 0)


def test_sixteen_bits_are_scaled_and_other_modes_converted() -> None:
    grey = PIL.Image.fromarray(np.array([[0, 32768, 65535]], dtype=np.uint16))
    assert np.asarray(open_image(encoded(grey)))[0, :, 0].tolist() == [0, 127, 255]
    assert open_image(encoded(noise().quantize(16))).mode == "RGB"
    assert open_image(encoded(noise().convert("1"))).mode == "RGB"
    cyan = PIL.Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    red, green, blue = open_image(encoded(cyan, "JPEG")).getpixel((4, 4))  # type: ignore[misc]
    assert red < 60 < 150 < min(green, blue)


def test_the_filter_on_size_and_ratio() -> None:
    assert large_enough((100, 50), min_side=50, min_aspect_ratio=0.5)
    assert not large_enough((100, 50), min_side=51, min_aspect_ratio=0.5)
    assert not large_enough((50, 101), min_side=50, min_aspect_ratio=0.5)
