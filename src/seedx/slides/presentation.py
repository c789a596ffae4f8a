"""A slide as a file for presentation programs. Needs the extra `seedx[slides]`: python-pptx."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import PIL.Image

from seedx.atomic import replacing_file
from seedx.errors import SeedxError
from seedx.slides.elements import FONT_SIZES, LONGEST_TITLE, Element, ImageElement, TextElement, clean, inside
from seedx.slides.picture import EMPTY
from seedx.slides.space import GAP, LINE, Size

TITLE_ONLY = 5  # the layout of python-pptx's own template that has a title and nothing else
FONT = "Arial"  # in its stead programs take one of the same widths, Liberation Sans for instance


def save(size: Size, elements: Sequence[Element], title: str | None, path: str | Path) -> None:
    """Write a presentation of one slide. The element that holds nothing but the title is its title to programs too."""
    try:
        import pptx
    except ImportError as error:
        raise SeedxError('writing a .pptx needs the package python-pptx: pip install "seedx[slides]"') from error
    presentation: Any = pptx.Presentation()
    presentation.slide_width, presentation.slide_height = size
    shapes = presentation.slides.add_slide(presentation.slide_layouts[TITLE_ONLY]).shapes
    placeholder = shapes.title
    for element in elements:
        if isinstance(element, ImageElement):
            _picture(shapes, element, size)
        elif isinstance(element, TextElement):
            is_title = placeholder is not None and [p.text for p in element.paragraphs] == [title]
            frame = placeholder if is_title else shapes.add_textbox(0, 0, 0, 0)
            placeholder = None if is_title else placeholder
            _place(frame, element.corners, size)
            _write(frame.text_frame, element)
    if placeholder is not None:
        placeholder.element.getparent().remove(placeholder.element)
    presentation.core_properties.title = clean(title or "")[:LONGEST_TITLE]
    with replacing_file(Path(path)) as aside:
        presentation.save(str(aside))


def _picture(shapes: Any, element: ImageElement, size: Size) -> None:
    image = element.image
    corners = element.corners if image is None else inside(image, element, size[0] / size[1])
    file = io.BytesIO()
    (image or PIL.Image.new("RGB", (8, 8), EMPTY)).save(file, "PNG")
    _place(shapes.add_picture(file, 0, 0), corners, size)


def _place(shape: Any, corners: tuple[float, float, float, float], size: Size) -> None:
    x0, y0, x1, y1 = corners
    shape.left, shape.top = round(x0 * size[0]), round(y0 * size[1])
    shape.width, shape.height = round((x1 - x0) * size[0]), round((y1 - y0) * size[1])


def _write(frame: Any, element: TextElement) -> None:
    from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
    from pptx.util import Pt

    frame.word_wrap, frame.vertical_anchor = True, MSO_ANCHOR.TOP
    frame.margin_left = frame.margin_right = frame.margin_top = frame.margin_bottom = 0
    for index, paragraph in enumerate(element.paragraphs):
        row = frame.paragraphs[0] if index == 0 else frame.add_paragraph()
        row.text, row.alignment = clean(paragraph.text), PP_ALIGN.LEFT
        points = min(max(paragraph.font_size, FONT_SIZES[0]), FONT_SIZES[1])
        row.font.size, row.font.name = Pt(points), FONT
        row.line_spacing, row.space_after = Pt(points * LINE), Pt(points * GAP)
