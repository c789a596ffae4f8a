"""The one module that opens pictures: any mode and orientation, a limit on their size, and errors that name them.

Only what the caller gives is read: local files, bytes, open files, PIL pictures, or what renders itself. No address is
fetched here; `data.record` finds the files that a record of a data set names.
"""

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

ORIENTATION = 0x0112  # the EXIF tag
TRANSPOSES = {  # which bring its values upright; 1 is upright
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
    """A picture that is missing, or is no picture that can be read. The message names the picture and the reason."""


@runtime_checkable
class Renderable(Protocol):
    """A picture that is rendered when it is opened, such as a scene that a data source describes."""

    def render(self) -> PIL.Image.Image: ...


Source = str | Path | bytes | IO[bytes] | PIL.Image.Image | Renderable


def open_image(source: Source, *, max_pixels: int = MAX_PIXELS) -> PIL.Image.Image:
    """A picture as PIL in RGB, upright by its EXIF orientation, what is transparent on white.

    A picture of a single pixel is valid: it becomes tiles of one colour.

    Args:
        source: a path, the bytes of a file, a file opened in binary mode, a PIL picture, or a `Renderable`.
        max_pixels: a picture with more is an error before it is decoded.

    Raises:
        SeedxError: no such file, not a picture, a damaged or truncated one, or one too large; it says which.
    """
    return decode(read_header(source, max_pixels=max_pixels), _name(source))


def read_header(source: Source, *, max_pixels: int = MAX_PIXELS) -> PIL.Image.Image:
    """A picture with its size, format and EXIF data, not decoded yet. Arguments and errors as of `open_image`."""
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
    """The result of `read_header` -> that of `open_image`.

    Raises:
        SeedxError: damaged or truncated.
    """
    name = name or _name(picture)
    try:
        return _to_rgb(picture)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise SeedxError(f"{name} is damaged or truncated ({error}): save or download it again") from error


def upright_transpose(picture: PIL.Image.Image) -> Transpose | None:
    """The transpose that brings a picture upright by its EXIF orientation; None if it is upright.

    Pillow's own `exif_transpose` rewrites the EXIF data too, and fails where a camera wrote some that it does not know.
    """
    return TRANSPOSES.get(picture.getexif().get(ORIENTATION, 1))


def large_enough(size: tuple[int, int], *, min_side: int, min_aspect_ratio: float) -> bool:
    """The release's filter of training pictures: by the shorter side, and its ratio to the longer one."""
    return min(size) >= min_side and min(size) / max(size) >= min_aspect_ratio


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
    """Lift Pillow's own limit while a header is read: it is one for the process, and would override `max_pixels`."""
    with _LOCK:
        bound, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = bound


def _to_rgb(picture: PIL.Image.Image) -> PIL.Image.Image:
    picture.load()  # some formats hold the EXIF data after the pixels
    transpose = upright_transpose(picture)
    if transpose is not None:
        picture = picture.transpose(transpose)
        # Without the EXIF data: opened again, it would be transposed again.
        picture.info = {key: value for key, value in picture.info.items() if key == "transparency"}
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
