"""The one module that opens pictures: any mode and orientation, a limit on their size, and errors that name them.

Only what the caller gives is read: local files, bytes, open files, pixels, or what renders itself. No address is
fetched here; `data.record` finds the files that a record of a data set names.

A file may be anyone's. It is opened by one of the few decoders of `image_formats.py`, its size is checked before it is
decoded, and whatever a decoder raises is an `ImageError`.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import re
import stat
import sys
import urllib.parse
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeAlias, cast, runtime_checkable

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL.Image import Transpose

from seedx.errors import shorten
from seedx.image_formats import PLUGINS as PLUGINS
from seedx.image_formats import ImageError as ImageError
from seedx.image_formats import check_decoder, open_decoder, reason

if TYPE_CHECKING:
    from torch import Tensor

MAX_PIXELS = 178_956_970  # Pillow's own bound for a picture that may be an attack: about 13,000 x 13,000
TRAINING_MAX_PIXELS = 50_000_000  # of data from the web, which many processes decode at once: 200 MB each

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

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_ACCEPTED = (
    "a path, the bytes of a file, an open file, a PIL picture, an array (H, W, 3) or tensor (3, H, W), or a data: URI"
)


@runtime_checkable
class Renderable(Protocol):
    """A picture that is rendered when it is opened, such as a scene that a data source describes."""

    def render(self) -> PIL.Image.Image: ...


Source: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | PIL.Image.Image | NDArray[np.uint8] "
    "| Tensor | Renderable"
)
Pictures: TypeAlias = "Source | Sequence[Source] | None"  # one, several in a list or a tuple, or none


def open_image(source: Source, *, max_pixels: int = MAX_PIXELS) -> PIL.Image.Image:
    """A picture as PIL in RGB, upright by its EXIF orientation, what is transparent on white.

    A picture of a single pixel is valid: it becomes tiles of one colour. Grey of more than 8 bits is scaled by its
    range, not by its brightest pixel: 65,535 is white, and so is 1.0 where pixels are floating point.

    Args:
        source: a path; the bytes of a file; a file opened in binary mode; a `data:` URI; a PIL picture; an array
            (H, W, 3) uint8; a tensor (3, H, W), uint8 or floating point in 0..1; or a `Renderable`.
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
    if isinstance(source, PIL.Image.Image):
        picture = source
        check_decoder(picture, name)
    else:
        picture = _open(source, name)
    width, height = picture.size
    if width < 1 or height < 1:
        raise ImageError(f"{name} has {width} x {height} pixels: a picture has at least one")
    if width * height > max_pixels:
        raise ImageError(
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
    except MemoryError:
        raise
    except Exception as error:  # a decoder fails on broken data in whatever way it happens to
        raise ImageError(f"{name} is damaged or truncated ({reason(error)}): save or download it again") from error


def upright_transpose(picture: PIL.Image.Image) -> Transpose | None:
    """The transpose that brings a picture upright by its EXIF orientation; None if it is upright.

    Pillow's own `exif_transpose` rewrites the EXIF data too, and fails where a camera wrote some that it does not know.
    """
    try:
        orientation = picture.getexif().get(ORIENTATION, 1)
        return TRANSPOSES.get(orientation)
    except (OSError, MemoryError):
        raise
    except Exception:  # EXIF data that can't be read says nothing of how the picture was taken
        return None


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
    torch = sys.modules.get("torch")  # without it, nobody can have made a tensor
    if isinstance(source, np.ndarray) or (torch is not None and isinstance(source, torch.Tensor)):
        return _from_pixels(source)
    if isinstance(source, str) and source.startswith("data:"):
        source = _from_data_uri(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return open_decoder(io.BytesIO(source), name)
    if isinstance(source, (str, os.PathLike)):
        return open_decoder(_checked_path(os.fsdecode(source), name), name)
    if hasattr(source, "read"):
        return open_decoder(_rewound(source, name), name)
    raise ImageError(f"a picture is {_ACCEPTED}, not {type(source).__name__}")


def _checked_path(path: str, name: str) -> str:
    """The path of a regular file: opening a pipe or a device could wait for ever."""
    if _URL.match(path):
        raise ImageError(f"{name} is a URL, which is not fetched: download it and give the path or the bytes")
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError as error:
        raise ImageError(f"{name} does not exist") from error
    except (OSError, ValueError) as error:  # the latter for a path with a zero byte
        raise ImageError(f"{name} can't be read ({reason(error)})") from error
    if stat.S_ISDIR(mode):
        raise ImageError(f"{name} is a folder, not a picture")
    if not stat.S_ISREG(mode):
        raise ImageError(f"{name} is a pipe or a device: give a file, or the bytes that you read from it")
    return path


def _rewound(file: Any, name: str) -> IO[bytes]:
    """An open file at its start; one that can't seek is read."""
    try:
        try:
            file.seek(0)
        except (AttributeError, io.UnsupportedOperation):
            file = io.BytesIO(file.read())
        if isinstance(file.read(0), bytes):
            return cast("IO[bytes]", file)
    except (OSError, ValueError, TypeError) as error:
        raise ImageError(f"{name} can't be read ({reason(error)})") from error
    raise ImageError(f"{name} is opened as text: open it in binary mode")


def _from_data_uri(uri: str) -> bytes:
    header, comma, content = uri.partition(",")
    try:
        if comma and header.endswith(";base64"):
            return base64.b64decode(urllib.parse.unquote_to_bytes(content), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(f"the picture {shorten(uri)} is not base64 ({error})") from error
    if not comma:
        raise ImageError(f"the picture {shorten(uri)} is no data: URI: it is data:image/png;base64,...")
    return urllib.parse.unquote_to_bytes(content)


def _from_pixels(source: Any) -> PIL.Image.Image:
    """An array (H, W, 3) or tensor (3, H, W) as PIL."""
    kind = f"{type(source).__name__} of {source.dtype} with the shape {tuple(source.shape)}"
    if isinstance(source, np.ndarray):
        pixels = source
    else:
        pixels = source.detach().cpu()
        if pixels.is_floating_point():
            if not bool(((pixels >= 0) & (pixels <= 1)).all()):
                raise ImageError(
                    "a tensor of floating point has pixels in 0..1; this one has others: don't normalise it"
                )
            pixels = (pixels.float() * 255).round().byte()
        pixels = pixels.permute(1, 2, 0).numpy() if pixels.ndim == 3 else pixels.numpy()
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ImageError(f"pixels are an array (H, W, 3) of uint8 or a tensor (3, H, W), not {kind}")
    return PIL.Image.fromarray(np.ascontiguousarray(pixels))


def _to_rgb(picture: PIL.Image.Image) -> PIL.Image.Image:
    key = _sixteen_bit_key(picture)
    picture.load()  # some formats hold the EXIF data after the pixels
    transpose = upright_transpose(picture)
    if picture.mode[0] in "IF":
        picture = _eight_bits(picture)
    elif key is not None:
        picture = picture.copy()
        picture.info["transparency"] = key
    if transpose is not None:
        picture = picture.transpose(transpose)
        # Without the EXIF data: opened again, it would be transposed again.
        picture.info = {name: value for name, value in picture.info.items() if name == "transparency"}
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = PIL.Image.alpha_composite(PIL.Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def _eight_bits(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Grey of 16 bits, 32 bits or floating point -> L, or LA where one grey is transparent. 65,535 and 1.0 are white.

    Pillow would cut such values at 255.
    """
    values = np.asarray(picture)
    if picture.mode == "F":
        grey = (np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1) * 255 + 0.5).astype(np.uint8)
    else:
        grey = (values.clip(0, 65535) // 257).astype(np.uint8)
    made = PIL.Image.fromarray(grey)
    key = picture.info.get("transparency")
    if isinstance(key, int):
        made.putalpha(PIL.Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    return made


def _sixteen_bit_key(picture: PIL.Image.Image) -> tuple[int, ...] | None:
    """The transparent colour of a 16-bit RGB picture in the 8 bits that Pillow keeps of it; None without one."""
    key = picture.info.get("transparency")
    wide = any("16" in str(tile[3]) for tile in getattr(picture, "tile", ()))
    return tuple(value >> 8 for value in key) if wide and picture.mode == "RGB" and isinstance(key, tuple) else None


def _name(source: Any) -> str:
    if isinstance(source, (str, os.PathLike)):
        return f"the picture {shorten(os.fsdecode(source))}"
    name = getattr(source, "name", None) or getattr(source, "filename", None)
    return f"the picture {shorten(name)}" if isinstance(name, str) and name else "the picture"
