"""Opening pictures that other people made: any mode, any orientation, broken ones, and ones too large to decode."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

import numpy as np
import PIL.Image
from PIL.Image import Transpose

from seedx.errors import SeedxError

MAX_PIXELS = 178_956_970  # Pillow's own bound for a picture that may be an attack: about 13,000 x 13,000

ORIENTATION = 0x0112  # the EXIF tag; how each of its values but 1 is brought upright
TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}

_LOCK = threading.Lock()


class ImageError(SeedxError):
    """A picture that is not there, is not one, is damaged or too large. Its message says which picture, and why."""


@runtime_checkable
class Renderable(Protocol):
    """A picture that is made when it is opened, such as a scene that a data source describes."""

    def render(self) -> PIL.Image.Image: ...


Source = str | Path | bytes | IO[bytes] | PIL.Image.Image | Renderable


def open_image(source: Source, *, max_pixels: int = MAX_PIXELS) -> PIL.Image.Image:
    """A picture as PIL in RGB, upright by its EXIF orientation, what is transparent on white.

    A picture of a single pixel is a picture: it becomes tiles of one colour.

    Args:
        source: a path, the bytes of a file, a file opened in binary mode, or a PIL picture.
        max_pixels: a picture with more is refused before it is decoded.

    Raises:
        SeedxError: no such file, not a picture, a damaged or truncated one, or one too large; it says which.
    """
    return decode(read_header(source, max_pixels=max_pixels), _name(source))


def read_header(source: Source, *, max_pixels: int = MAX_PIXELS) -> PIL.Image.Image:
    """A picture with its size, format and EXIF data, which nothing has decoded yet. Arguments and errors as above."""
    name = _name(source)
    if isinstance(source, Renderable):
        source = source.render()
    picture = source if isinstance(source, PIL.Image.Image) else _open(source, name)
    width, height = picture.size
    if width * height > max_pixels:
        raise SeedxError(
            f"{name} has {width} x {height} pixels, more than the {max_pixels:,} allowed: "
            "make it smaller or raise max_pixels"
        )
    return picture


def decode(picture: PIL.Image.Image, name: str = "") -> PIL.Image.Image:
    """What `read_header` gave -> what `open_image` gives.

    Raises:
        SeedxError: damaged or truncated.
    """
    name = name or _name(picture)
    try:
        return _to_rgb(picture)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise SeedxError(f"{name} is damaged or truncated ({error}): save or download it again") from error


def turn_of(picture: PIL.Image.Image) -> Transpose | None:
    """What brings a picture upright by its EXIF orientation; None if nothing has to.

    Pillow's own `exif_transpose` rewrites the EXIF data too, and fails where a camera wrote some that it does not know.
    """
    return TURNS.get(picture.getexif().get(ORIENTATION, 1))


def large_enough(size: tuple[int, int], *, min_side: int, min_ratio: float) -> bool:
    """The release's filter on pictures to train on: the shorter side, and its ratio to the longer one."""
    return min(size) >= min_side and min(size) / max(size) >= min_ratio


def side_by_side(pictures: Sequence[PIL.Image.Image]) -> PIL.Image.Image:
    """Pictures in one row, at the height of the tallest."""
    row = PIL.Image.new(
        "RGB", (sum(picture.width for picture in pictures), max(picture.height for picture in pictures))
    )
    left = 0
    for picture in pictures:
        row.paste(picture, (left, 0))
        left += picture.width
    return row


def _open(source: Any, name: str) -> PIL.Image.Image:
    if isinstance(source, (bytes, bytearray)):
        source = io.BytesIO(source)
    elif not isinstance(source, (str, Path)) and not hasattr(source, "read"):
        raise ImageError(f"a picture is a path, bytes, an open file or a PIL picture, not {type(source).__name__}")
    try:
        with _any_size():
            return PIL.Image.open(source)  # reads the header alone
    except FileNotFoundError as error:
        raise ImageError(f"{name} does not exist") from error
    except IsADirectoryError as error:
        raise ImageError(f"{name} is a folder, not a picture") from error
    except PIL.UnidentifiedImageError as error:
        raise ImageError(f"{name} is not a picture in a format that Pillow knows") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"{name} can't be read ({error})") from error


@contextlib.contextmanager
def _any_size() -> Iterator[None]:
    """Pillow's own bound would hold whatever `max_pixels` says, and it is one for the process: lift it for a header."""
    with _LOCK:
        bound, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = bound


def _to_rgb(picture: PIL.Image.Image) -> PIL.Image.Image:
    picture.load()  # some formats hold the EXIF data after the pixels
    turn = turn_of(picture)
    if turn is not None:
        picture = picture.transpose(turn)
        picture.info = {key: value for key, value in picture.info.items() if key == "transparency"}  # turned only once
    if picture.mode.startswith("I"):
        picture = picture.convert("I")
        if np.asarray(picture).max() > 255:  # 16 bits, which Pillow would cut off at 255 instead of scaling them
            picture = picture.point(lambda value: value * (1 / 257))
        picture = picture.convert("L")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = PIL.Image.alpha_composite(PIL.Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def _name(source: Any) -> str:
    if isinstance(source, (str, Path)):
        return f"the picture {str(source)!r}"
    name = getattr(source, "name", None) or getattr(source, "filename", None)
    return f"the picture {name!r}" if isinstance(name, str) and name else "the picture"
