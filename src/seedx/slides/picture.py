"""A slide as a picture, with Pillow alone."""

from __future__ import annotations

from collections.abc import Sequence

import PIL.Image
from PIL import ImageDraw

from seedx.slides.elements import EMU_PER_POINT, Element, ImageElement, TextElement, inside
from seedx.slides.space import GAP, LINE, Size, font, lines

PAPER, INK, EMPTY = "white", (32, 32, 36), (225, 225, 230)  # EMPTY: where no picture was drawn


def paint(size: Size, elements: Sequence[Element], width: int) -> PIL.Image.Image:
    """
    Args:
        size: of the slide in EMU.
        width: of the picture in pixels.
    """
    height = max(1, round(width * size[1] / size[0]))
    canvas = PIL.Image.new("RGB", (width, height), PAPER)
    for element in elements:
        if isinstance(element, TextElement):
            _write(canvas, element, size)
        elif isinstance(element, ImageElement):
            _paste(canvas, element)
    return canvas


def _paste(canvas: PIL.Image.Image, element: ImageElement) -> None:
    wide, high = canvas.size
    corners = element.corners
    if element.image is not None:
        corners = inside(element.image, element, wide / high)
    left, top, right, bottom = (
        round(value * side) for value, side in zip(corners, (wide, high, wide, high), strict=True)
    )
    size = max(1, right - left), max(1, bottom - top)
    if element.image is None:
        canvas.paste(EMPTY, (left, top, left + size[0], top + size[1]))
    else:
        canvas.paste(element.image.convert("RGB").resize(size, PIL.Image.Resampling.LANCZOS), (left, top))


def _write(canvas: PIL.Image.Image, element: TextElement, size: Size) -> None:
    """Lines are broken at the sizes in points, so that a small picture reads as a large one."""
    pen = ImageDraw.Draw(canvas)
    scale = canvas.width / (size[0] / EMU_PER_POINT)  # pixels a point
    y = element.y * canvas.height
    for paragraph in element.paragraphs:
        for row in lines(paragraph, element.width * size[0] / EMU_PER_POINT):
            pen.text((element.x * canvas.width, y), row, fill=INK, font=font(paragraph.font_size * scale))
            y += paragraph.font_size * LINE * scale
        y += paragraph.font_size * GAP * scale
