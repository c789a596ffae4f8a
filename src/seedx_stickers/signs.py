"""Signs: panels with printed words and numbers, for text-rich pictures.

Capital letters in cells of one width, in the default font of Pillow.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

CELL = 0.58  # width of a letter's cell, of the panel's height
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
PANELS = {  # by name: panel and ink
    "white": ((255, 255, 255), (20, 20, 20)),
    "yellow": ((255, 215, 40), (20, 20, 20)),
    "blue": ((30, 80, 170), (255, 255, 255)),
    "red": ((190, 30, 40), (255, 255, 255)),
}


@dataclass(frozen=True)
class Sign:
    """A panel around (x, y), fractions of the scene. `size` is its height, in fractions of the scene's shorter side."""

    text: str
    x: float
    y: float
    size: float
    panel: str = "white"

    @property
    def ratio(self) -> float:
        """Width over height."""
        return CELL * (len(self.text) + 1)


def sign_box(sign: Sign, width: int, height: int) -> tuple[float, float, float, float]:
    """Corners (x0, y0, x1, y1) in fractions of a scene of that many pixels; not cut at the border."""
    shorter = min(width, height)
    wide, high = sign.size * sign.ratio * shorter / width, sign.size * shorter / height
    return sign.x - wide / 2, sign.y - high / 2, sign.x + wide / 2, sign.y + high / 2


def letter_boxes(sign: Sign, width: int, height: int) -> list[tuple[float, float, float, float]]:
    """Corners of each letter's cell, in pixels of a scene of that size."""
    high = sign.size * min(width, height)
    left = sign.x * width - CELL * high * len(sign.text) / 2
    top = sign.y * height - high / 2
    return [(left + CELL * high * i, top, left + CELL * high * (i + 1), top + high) for i in range(len(sign.text))]


@functools.lru_cache(maxsize=4096)
def panel(text: str, high: int, name: str) -> Image.Image:
    """The panel as a picture, RGBA, `high` pixels high."""
    ground, ink = PANELS[name]
    wide = round(Sign(text, 0, 0, 1).ratio * high)
    picture = Image.new("RGBA", (wide, high), (*ground, 255))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, wide - 1, high - 1), outline=(*ink, 255), width=max(1, high // 16))
    font = _font(max(4, round(high * 0.86)))
    for i, letter in enumerate(text):
        draw.text((CELL * high * (i + 1), high * 0.5), letter, fill=ink, font=font, anchor="mm")
    return picture


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
