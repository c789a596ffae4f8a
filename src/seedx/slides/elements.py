"""The elements of a slide. Places are fractions of its width and height, origin top left."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import PIL.Image

Corners = tuple[float, float, float, float]  # x0, y0, x1, y1

EMU_PER_POINT = 12_700
FONT_SIZES = (1, 400)  # points, that a font may have
LONGEST_TITLE = 255  # characters, in the properties of a presentation's file
STEP = 1 / 224  # one loc token: places are no finer


@dataclass(frozen=True)
class Element:
    x: float
    y: float
    width: float
    height: float

    @property
    def corners(self) -> Corners:
        return self.x, self.y, self.x + self.width, self.y + self.height

    @property
    def outside(self) -> bool:
        """Whether it sticks out of the slide by more than the precision of a place."""
        x0, y0, x1, y1 = self.corners
        return min(x0, y0) < -STEP or max(x1, y1) > 1 + STEP

    def shared(self, other: Element) -> Corners | None:
        """The region that two elements both cover; None if there is none wider and higher than a step."""
        a, b = self.corners, other.corners
        x0, y0, x1, y1 = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
        return (x0, y0, x1, y1) if min(x1 - x0, y1 - y0) > STEP else None


@dataclass(frozen=True)
class Paragraph:
    """`font_size` is in points."""

    text: str
    font_size: float


@dataclass(frozen=True)
class TextElement(Element):
    paragraphs: tuple[Paragraph, ...]

    def __str__(self) -> str:
        words = " ".join(paragraph.text for paragraph in self.paragraphs)
        return f'the text "{words[:30]}{"..." if len(words) > 30 else ""}"'


@dataclass(frozen=True)
class ImageElement(Element):
    """`image` is None where none was drawn."""

    image: PIL.Image.Image | None = None

    def __str__(self) -> str:
        return f"the picture at {self.x:.2f}, {self.y:.2f}"

    def covers_something(self, region: Corners) -> bool:
        """Whether the picture, as large as its box, is more than plain there: text would hide something."""
        if self.image is None:
            return True
        wide, high = self.image.size
        x0, y0, x1, y1 = region
        left, right = ((x - self.x) / self.width * wide for x in (x0, x1))
        top, bottom = ((y - self.y) / self.height * high for y in (y0, y1))
        box = (max(0, int(left)), max(0, int(top)), min(wide, math.ceil(right)), min(high, math.ceil(bottom)))
        part = self.image.convert("RGB").crop(box)
        return any(most - least > PLAIN for least, most in part.getextrema())  # type: ignore[misc]


def clean(text: str) -> str:
    """A text without what no file of a presentation can hold: control characters but for tabs and line breaks, halves
    of surrogate pairs, and the two characters that XML excludes."""
    return _UNWRITABLE.sub("", text)


_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
PLAIN = 60  # brightest minus darkest of a channel, up to which a region is plain: JPEG and noise stay below


def inside(image: PIL.Image.Image, element: Element, ratio: float) -> Corners:
    """The corners of a picture in the box of its element: as large as it fits, centred, its ratio kept.

    Args:
        ratio: width by height of the slide.
    """
    fraction = image.width / image.height / ratio  # width by height in fractions of the slide
    width = min(element.width, element.height * fraction)
    height = width / fraction
    x0, y0 = element.x + (element.width - width) / 2, element.y + (element.height - height) / 2
    return x0, y0, x0 + width, y0 + height
