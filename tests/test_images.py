import base64
import io
import os
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pillow_heif
import pytest
import torch

from seedx import image_formats
from seedx.images import PLUGINS, ImageError, large_enough, open_image, read_header


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


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n{ } loop\n%%EOF\n"


@pytest.mark.parametrize(
    "data",
    [POSTSCRIPT, encoded(noise(), "TGA"), encoded(noise(), "ICO"), encoded(noise(), "DDS"), encoded(noise(), "SGI")],
)
def test_a_decoder_that_is_not_listed_never_sees_a_file(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(data)
    for source in (data, tmp_path / "cat.jpg", io.BytesIO(data)):
        for read in (open_image, read_header):
            with pytest.raises(ImageError, match=r"is not a picture in one of the formats JPEG, PNG, "):
                read(source)


def test_a_picture_that_pillow_opened_is_not_decoded_by_another_decoder_either() -> None:
    with pytest.raises(ImageError, match="is EPS, not one of the formats"):
        open_image(PIL.Image.open(io.BytesIO(POSTSCRIPT)))
    trusted = PIL.Image.open(io.BytesIO(encoded(noise(), "TGA")))
    trusted.load()
    assert open_image(trusted).tobytes() == noise().tobytes()


@pytest.mark.parametrize("kind", PLUGINS)
def test_every_listed_format_is_read(kind: str) -> None:
    pillow_heif.register_heif_opener()  # which writes, too
    opened = open_image(encoded(PIL.Image.new("RGB", (16, 8), (200, 100, 50)), kind))
    assert opened.size == (16, 8)
    assert np.abs(np.asarray(opened, dtype=int) - (200, 100, 50)).max() <= 8


def test_a_picture_of_a_phone_is_upright_and_its_size_is_checked_first() -> None:
    pillow_heif.register_heif_opener()
    lying, exif = PIL.Image.new("RGB", (32, 16), "black"), PIL.Image.Exif()
    lying.paste((250, 250, 250), (0, 0, 16, 16))  # the left half, which a quarter turn to the right puts on top
    exif[0x0112] = 6
    stream = io.BytesIO()
    lying.save(stream, "HEIF", exif=exif.tobytes(), quality=100)
    pixels = np.asarray(open_image(stream.getvalue()), dtype=int)
    assert pixels.shape == (32, 16, 3)
    assert pixels[:12].min() > 220 and pixels[20:].max() < 30
    with pytest.raises(ImageError, match=r"has (32 x 16|16 x 32) pixels, more than the 500 allowed"):
        open_image(stream.getvalue(), max_pixels=500)
    for broken in (stream.getvalue()[:200], stream.getvalue()[:-40]):
        with pytest.raises(ImageError):
            open_image(broken)


def test_heif_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    pillow_heif.register_heif_opener()
    content = encoded(noise(), "HEIF")
    monkeypatch.setattr(image_formats, "PLUGINS", {k: v for k, v in PLUGINS.items() if k != "HEIF"})
    with pytest.raises(ImageError, match=r'HEIF needs pip install "seedx\[heif\]"'):
        open_image(content)


def test_every_exception_of_a_decoder_is_the_error_of_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    for raised in (KeyError("x"), struct.error(), TypeError(), RuntimeError(), NotImplementedError(), AssertionError()):

        def fail(*_: object, error: Exception = raised) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(PIL.Image.Image, "convert", fail)
            with pytest.raises(ImageError, match="damaged or truncated"):
                open_image(encoded(noise()))


def test_a_pipe_is_refused_and_blocks_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    for path in (tmp_path / "a.png", "/dev/zero"):
        with pytest.raises(ImageError, match="is a pipe or a device"):
            open_image(path)


def test_a_slow_file_does_not_block_other_pictures() -> None:
    reached, go = threading.Event(), threading.Event()

    class Slow(io.BytesIO):
        def read(self, count: int | None = -1) -> bytes:
            if count:
                reached.set()
                go.wait(10)
            return super().read(count)

    thread = threading.Thread(target=open_image, args=(Slow(encoded(noise())),))
    thread.start()
    reached.wait(10)
    assert open_image(encoded(noise())).size == (64, 48)
    go.set()
    thread.join()


def test_grey_of_many_bits_is_scaled_by_its_range() -> None:
    dark = PIL.Image.fromarray(np.array([[0, 200, 257]], dtype=np.uint16))  # nearly black, and stays so
    assert np.asarray(open_image(encoded(dark)))[0, :, 0].tolist() == [0, 0, 1]
    for kind in ("TIFF", "PPM"):
        full = PIL.Image.fromarray(np.array([[0, 32768, 65535]], dtype=np.uint16))
        assert np.asarray(open_image(encoded(full, kind)))[0, :, 0].tolist() == [0, 127, 255]
    floats = PIL.Image.fromarray(np.array([[0.0, 0.5, 1.0, 7.0, -1.0, np.nan]], dtype=np.float32))
    assert np.asarray(open_image(encoded(floats, "TIFF")))[0, :, 0].tolist() == [0, 128, 255, 255, 0, 0]


def test_a_transparent_grey_of_sixteen_bits_is_white() -> None:
    grey = PIL.Image.fromarray(np.array([[0, 1, 300]], dtype=np.uint16))
    data = with_transparency(encoded(grey), struct.pack(">H", 1))
    assert np.asarray(open_image(data))[0, :, 0].tolist() == [0, 255, 1]


def test_a_transparent_colour_of_sixteen_bits_is_white() -> None:
    row = b"\0" + struct.pack(">6H", 0x1234, 0x5678, 0x9ABC, 0xFFFF, 0, 0)
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    opened = open_image(with_transparency(data, struct.pack(">3H", 0x1234, 0x5678, 0x9ABC)))
    assert [opened.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (255, 0, 0)]


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_transparency(data: bytes, key: bytes) -> bytes:
    at = data.index(b"IDAT") - 4
    return data[:at] + chunk(b"tRNS", key) + data[at:]


def test_pixels_in_every_form_are_the_same(tmp_path: Path) -> None:
    data, array = encoded(noise()), np.asarray(noise())
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    uri = "data:image/png;base64," + base64.b64encode(data).decode()
    (tmp_path / "a.png").write_bytes(data)

    class Named(os.PathLike[str]):
        def __fspath__(self) -> str:
            return str(tmp_path / "a.png")

    for source in (bytearray(data), memoryview(data), array, array[::1, ::1], tensor, tensor / 255, uri, Named()):
        assert open_image(source).tobytes() == noise().tobytes()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("https://example.org/a.png", "is a URL, which is not fetched"),
        ("file:///a.png", "is a URL, which is not fetched"),
        ("data:image/png;base64,???", "is not base64"),
        ("data:image/png;base64", "is no data: URI"),
        ("a\0b", "can't be read"),
        ("x" * 48_000, "can't be read"),
        ("data:image/png;base64," + "!" * 48_000, "is not base64"),
        (b"x" * 48_000, "is not a picture"),
        (["a.png"] * 9000, "not list"),
        (None, "not NoneType"),
        (io.StringIO("text"), "opened as text"),
        (np.zeros((4, 4)), r"not ndarray of float64 with the shape \(4, 4\)"),
        (np.zeros((3, 4, 4), dtype=np.uint8), "with the shape"),
        (np.zeros((0, 4, 3), dtype=np.uint8), "with the shape"),
        (torch.full((3, 4, 4), 2.0), r"in 0\.\.1"),
        (torch.full((3, 4, 4), torch.nan), r"in 0\.\.1"),
        (torch.zeros(4, dtype=torch.uint8), "with the shape"),
        (PIL.Image.new("RGB", (0, 5)), "has 0 x 5 pixels"),
    ],
)
def test_what_is_no_picture_is_a_short_error_that_says_so(source: object, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        open_image(source)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 500


def test_exif_data_that_makes_no_sense_leaves_the_picture_as_it_is() -> None:
    data = bytearray(encoded(noise(), "JPEG", exif=PIL.Image.Exif()))
    exif = b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\0" * 20
    data[2:2] = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    assert open_image(bytes(data)).size == (64, 48)
