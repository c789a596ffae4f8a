"""Space on a slide: how large a text is, what overlaps, and where there is room instead."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from PIL import ImageFont

from seedx.slides.elements import EMU_PER_POINT, Element, ImageElement, Paragraph, TextElement

LINE = 1.2  # height of a line, in font sizes
GAP = 0.4  # space between two paragraphs, in font sizes of the first
SMALLEST = 10  # points: a text is not set smaller to make it fit
SHARES = tuple(step / 20 for step in range(20, 0, -1))  # of its font sizes, at which a text is tried
SPACE = 1 / 40  # of the slide, between a text that was moved and what it was moved away from

Size = tuple[int, int]  # of the slide in EMU


@functools.lru_cache(256)
def font(pixels: float) -> ImageFont.FreeTypeFont:
    """Pillow's own font, the same everywhere; at least a pixel high, which is the smallest that FreeType sets."""
    found = ImageFont.load_default(max(pixels, 1))
    assert isinstance(found, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return found


@functools.lru_cache(4096)
def lines(paragraph: Paragraph, width: float) -> tuple[str, ...]:
    """The lines of a paragraph in a box of a width in points. A word that is wider has a line of its own."""
    measure = font(paragraph.font_size).getlength
    rows: list[str] = []
    for part in paragraph.text.split("\n"):
        row = ""
        for word in part.split():
            longer = f"{row} {word}" if row else word
            if row and measure(longer) > width:
                rows.append(row)
                longer = word
            row = longer
        rows.append(row)
    return tuple(rows)


def fits(element: TextElement, size: Size) -> bool:
    """Whether a text stays in its box, at its font sizes."""
    width, height = element.width * size[0] / EMU_PER_POINT, element.height * size[1] / EMU_PER_POINT
    high = 0.0
    for index, paragraph in enumerate(element.paragraphs):
        rows = lines(paragraph, width)
        if any(font(paragraph.font_size).getlength(row) > width for row in rows):
            return False
        last = index == len(element.paragraphs) - 1
        high += paragraph.font_size * (LINE * len(rows) + (0 if last else GAP))
    return high <= height


def smaller(element: TextElement, size: Size) -> TextElement | None:
    """The text with its font sizes lowered together until it fits; None if it never does."""
    return next((text for share in SHARES if (text := scaled(element, share)) and fits(text, size)), None)


def scaled(element: TextElement, share: float) -> TextElement | None:
    """The text at a share of its font sizes; None if one gets too small."""
    if share < 1 and any(p.font_size * share < SMALLEST for p in element.paragraphs):
        return None
    paragraphs = (dataclasses.replace(p, font_size=p.font_size * share) for p in element.paragraphs)
    return dataclasses.replace(element, paragraphs=tuple(paragraphs))


def covered(text: TextElement, other: Element) -> bool:
    """Whether a text overlaps another element. On a plain region of a picture it may."""
    shared = text.shared(other)
    return shared is not None and not (isinstance(other, ImageElement) and not other.covers_something(shared))


def pushed_in(element: TextElement) -> TextElement:
    """The text moved into the slide, and cut to it where it is larger."""
    width, height = min(element.width, 1.0), min(element.height, 1.0)
    x, y = min(max(element.x, 0.0), 1 - width), min(max(element.y, 0.0), 1 - height)
    return dataclasses.replace(element, x=x, y=y, width=width, height=height)


def moved(text: TextElement, others: Sequence[Element], size: Size) -> TextElement | None:
    """The text beside all others: as large as possible, and then as near as possible; None if there is no room."""
    free = [p for p in _places(text, others) if not p.outside and not any(covered(p, other) for other in others)]
    free.sort(key=lambda place: abs(place.x - text.x) + abs(place.y - text.y))
    for share in SHARES:
        for place in free:
            if (changed := scaled(place, share)) and fits(changed, size):
                return changed
    return None


def _places(text: TextElement, others: Iterable[Element]) -> Iterator[TextElement]:
    """The text in its own size at the edges of the others, and in the strips between two edges."""
    others = list(others)
    edges_x = sorted({SPACE, 1 - SPACE, *(edge for o in others for edge in (o.x - SPACE, o.x + o.width + SPACE))})
    edges_y = sorted({SPACE, 1 - SPACE, *(edge for o in others for edge in (o.y - SPACE, o.y + o.height + SPACE))})
    across = [(text.x, text.width), *_spans(edges_x, text.width)]
    down = [(text.y, text.height), *_spans(edges_y, text.height)]
    for (x, width), (y, height) in product(across, down):
        yield dataclasses.replace(text, x=x, y=y, width=width, height=height)


def _spans(edges: list[float], length: float) -> Iterator[tuple[float, float]]:
    """Start and length: from and up to each edge, and between each two."""
    for index, edge in enumerate(edges):
        yield edge, length
        yield edge - length, length
        for end in edges[index + 1 :]:
            yield edge, end - edge
