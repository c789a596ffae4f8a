"""The formats of picture files that are read, and the decoder of each.

A file may be anyone's. It is opened by one of the few decoders of `PLUGINS`, by its first bytes and whatever its name
says: Pillow has forty, one of which runs PostScript programs.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from typing import IO, Any

import PIL.Image
import PIL.ImageFile

from seedx.errors import SeedxError

PLUGINS = {  # the formats that are read, and Pillow's module for each
    "JPEG": "PIL.JpegImagePlugin",
    "PNG": "PIL.PngImagePlugin",
    "WEBP": "PIL.WebPImagePlugin",
    "GIF": "PIL.GifImagePlugin",
    "TIFF": "PIL.TiffImagePlugin",
    "BMP": "PIL.BmpImagePlugin",
    "PPM": "PIL.PpmImagePlugin",
    "AVIF": "PIL.AvifImagePlugin",
    "HEIF": "pillow_heif",  # the extra `heif`
}
FORMATS = (*PLUGINS, "MPO")  # a JPEG with several pictures calls itself MPO


class ImageError(SeedxError):
    """A picture that is missing, or is no picture that can be read. The message names the picture and the reason."""


def open_decoder(file: str | IO[bytes], name: str) -> PIL.Image.Image:
    """The picture of a path or a file at its start, by the decoder of its first bytes; its header is read.

    Not by `PIL.Image.open`, which has a limit of its own on the size, a global of the process: to lift it for one
    picture needs a lock, and then one slow file blocks the pictures of all threads.
    """
    failure: Exception | None = None
    try:
        with open(file, "rb") if isinstance(file, str) else contextlib.nullcontext(file) as opened:
            prefix = opened.read(16)
        for format in PLUGINS:
            found = _plugin(format)
            if found is None or found[1](prefix) is not True:
                continue
            try:
                if not isinstance(file, str):
                    file.seek(0)
                picture: PIL.Image.Image = found[0](file, file if isinstance(file, str) else getattr(file, "name", ""))
                return picture
            except MemoryError:
                raise
            except Exception as error:  # HEIF and AVIF share their first bytes: the next one may read it
                failure = error
    except OSError as error:
        failure = error
    if failure is not None:
        raise ImageError(f"{name} can't be read ({reason(failure)})") from failure
    hint = '; HEIF needs pip install "seedx[heif]"' if prefix[4:8] == b"ftyp" else ""
    raise ImageError(f"{name} is not a picture in one of the formats {', '.join(PLUGINS)}{hint}")


@functools.cache
def _plugin(format: str) -> tuple[Any, Any] | None:
    """What makes a picture of a file, and what tells by 16 bytes whether it can; None where Pillow lacks the format."""
    try:
        module = importlib.import_module(PLUGINS[format])
    except ImportError:
        return None
    if format == "HEIF":
        module.register_heif_opener()
    return PIL.Image.OPEN.get(format)


def check_decoder(picture: PIL.Image.Image, name: str) -> None:
    """A picture opened by Pillow is decoded when its pixels are needed: not by any of its decoders, either."""
    pending = isinstance(picture, PIL.ImageFile.StubImageFile) or getattr(picture, "tile", None)
    if pending and isinstance(picture, PIL.ImageFile.ImageFile) and picture.format not in FORMATS:
        raise ImageError(
            f"{name} is {picture.format}, not one of the formats {', '.join(PLUGINS)}: call its load() if you trust it"
        )


def reason(error: Exception) -> str:
    """What an error says, in short: the system's errors repeat the file name, however long it is."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return said if len(said) <= 200 else f"{said[:200]}..."
