"""Images as clients get them: encoded, in base64, of a size that was written as text."""

from __future__ import annotations

import base64
import io
import re
from typing import Literal

import PIL.Image

from seedx.serve.errors import ServeError

Format = Literal["png", "jpeg", "webp"]
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")


def to_base64(image: PIL.Image.Image, form: Format = "png", quality: int = 100) -> str:
    """
    Args:
        quality: of JPEG and WebP, 0 to 100.
    """
    file = io.BytesIO()
    if form == "png":
        image.save(file, "PNG", compress_level=1)
    else:
        image.save(file, form.upper(), quality=quality)
    return base64.b64encode(file.getvalue()).decode()


def to_data_uri(image: PIL.Image.Image, form: Format = "png", quality: int = 100) -> str:
    return f"data:image/{form};base64,{to_base64(image, form, quality)}"


def parse_size(size: str) -> tuple[int, int]:
    """ "96x64" -> (96, 64).

    Raises:
        ServeError: it is written in another way.
    """
    match = _SIZE.fullmatch(size.strip().lower())
    if not match:
        raise ServeError(
            f'size is "auto" or WIDTHxHEIGHT in pixels, such as "96x96", not {size[:40]!r}',
            400,
            "invalid_value",
            "size",
        )
    return int(match[1]), int(match[2])


def apply_mask(drawn: PIL.Image.Image, before: PIL.Image.Image, mask: PIL.Image.Image) -> PIL.Image.Image:
    """The drawn image where the mask is transparent, and the picture before it, at the drawing's size, elsewhere.

    Args:
        mask: with an alpha channel, of the size of `before`.
    """
    kept = mask.getchannel("A").resize(drawn.size, PIL.Image.Resampling.BILINEAR)
    return PIL.Image.composite(before.resize(drawn.size, PIL.Image.Resampling.BICUBIC), drawn, kept)
