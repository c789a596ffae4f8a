"""Room on a slide: how large a text is, what stands in whose way, and where there is space instead."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from PIL import ImageFont

from seedx.slide.elements import EMU_PER_POINT, Element, ImageElement, Paragraph, TextElement

LINE = 1.2  # height of a line, in font sizes
GAP = 0.4  # space between two paragraphs, in font sizes of the first
SMALLEST = 10  # points: a text is not set smaller to make it fit
SPACE = 1 / 40  # of the slide, between a text that was moved and what it was moved away from

Size = tuple[int, int]  # of the slide in EMU


@functools.cache
def font(pixels: float) -> ImageFont.FreeTypeFont:
    """Pillow's own font, the same everywhere."""
    found = ImageFont.load_default(pixels)
    assert isinstance(found, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return found


def lines(paragraph: Paragraph, width: float) -> list[str]:
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
    return rows


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
    """The text with its font sizes lowered together, in steps of a twentieth, until it fits; None if it never does."""
    for share in range(20, 0, -1):
        paragraphs = tuple(dataclasses.replace(p, font_size=p.font_size * share / 20) for p in element.paragraphs)
        if share < 20 and any(p.font_size < SMALLEST for p in paragraphs):
            return None
        if fits(changed := dataclasses.replace(element, paragraphs=paragraphs), size):
            return changed
    return None


def covered(text: TextElement, other: Element) -> bool:
    """Whether a text stands on another element. On plain ground of a picture it may."""
    shared = text.shared(other)
    return shared is not None and not (isinstance(other, ImageElement) and not other.covers_something(shared))


def pushed_in(element: TextElement) -> TextElement:
    """The text moved into the slide, and cut to it where it is larger."""
    width, height = min(element.width, 1.0), min(element.height, 1.0)
    x, y = min(max(element.x, 0.0), 1 - width), min(max(element.y, 0.0), 1 - height)
    return dataclasses.replace(element, x=x, y=y, width=width, height=height)


def moved(text: TextElement, others: Sequence[Element], size: Size) -> TextElement | None:
    """The text beside all others: set in its own size if that is possible, then as near as possible; None if there is
    no room."""
    best: tuple[tuple[float, float], TextElement] | None = None
    for place in _places(text, others):
        free = not place.outside and not any(covered(place, other) for other in others)
        if free and (set_ := smaller(place, size)):
            loss = max((p.font_size - q.font_size for p, q in zip(text.paragraphs, set_.paragraphs, strict=True)))
            away = abs(place.x - text.x) + abs(place.y - text.y)
            if best is None or (loss, away) < best[0]:
                best = (loss, away), set_
    return best and best[1]


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
