"""Boxes as data sets write them -> `Box` parts.

    Shikra    the man [0.120,0.300,0.450,0.900] and two dogs [0.1,0.2,0.3,0.4;0.5,0.6,0.7,0.8]
              corners x0, y0, x1, y1 as fractions, several boxes separated by ";" (arXiv 2306.15195, section 3.1)
    Kosmos    <phrase>a snowman</phrase><object><patch_index_0044><patch_index_0863></object>
              the first and the last cell of a grid of 32 x 32 in raster order; several boxes separated by
              <delimiter_of_multi_objects/> (transformers, `processing_kosmos2.py`)
    Pixels    corners, or COCO's corner and size [x, y, width, height], with the size of the picture

Boxes may stick out of the picture by rounding or by careless labelling: they are cut to it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from PIL.Image import Transpose

from seedx.data.formats.fields import Fields
from seedx.data.formats.filters import stored_form
from seedx.errors import shorten
from seedx.messages import Box, Image, Part, Text

Style = Literal["none", "shikra", "kosmos"]
Corners = tuple[float, float, float, float]

_CELLS = 32  # a side of Kosmos-2's grid
_NUMBER = r"\s*[01]?\.\d+\s*|\s*[01]\s*"
_ONE = rf"(?:{_NUMBER})(?:,(?:{_NUMBER})){{3}}"
_SHIKRA = re.compile(rf"\[({_ONE}(?:;{_ONE})*)\]")
_KOSMOS = re.compile(r"(?:<phrase>(.*?)</phrase>)?<object>(.*?)</object>", re.DOTALL)
_CELL = re.compile(r"<patch_index_(\d{4})>")


@dataclass(frozen=True)
class Frame:
    """What the numbers of boxes are relative to.

    Attributes:
        size: width and height.
        turn: what brings the labelled picture upright; None if it is.
    """

    size: tuple[float, float] = (1, 1)
    turn: Transpose | None = None


_WHOLE = Frame()


def frame(picture: Image, fields: Fields) -> Frame:
    """The frame of boxes in pixels: by the labelled width and height, or else the upright picture.

    A camera on its side stores the picture lying and says so in EXIF. Some labels were made on the picture upright, and
    some as it is stored, which shows in their width and height:

        stored 400 x 300, to be turned by a quarter    labelled 300 x 400: upright    400 x 300: boxes are turned too

    Raises:
        SampleError: "bad format", width or height is no positive number; "broken image".
    """
    stored, transpose = stored_form(picture, fields)
    quarter = transpose in (Transpose.TRANSPOSE, Transpose.ROTATE_90, Transpose.TRANSVERSE, Transpose.ROTATE_270)
    if fields.find("width") is None or fields.find("height") is None:
        return Frame(stored[::-1] if quarter else stored)
    width, height = fields.number("width"), fields.number("height")
    if not (0 < width < math.inf and 0 < height < math.inf):
        raise fields.bad(f"the width and height of a picture are above 0, not {width:g} and {height:g}")
    lying = quarter and (width - height) * (stored[0] - stored[1]) > 0
    return Frame((width, height), transpose if lying else None)


def fractions(values: Any, fields: Fields, frame: Frame = _WHOLE, coco: bool = False) -> Corners:
    """Four numbers -> corners as fractions of the upright picture.

    Args:
        frame: what the numbers are relative to.
        coco: they are corner and size rather than two corners.

    Raises:
        SampleError: "bad format", not four numbers, or nothing of the box is within the picture.
    """
    try:
        x0, y0, x1, y1 = (float(value) for value in values)
    except (TypeError, ValueError, OverflowError) as error:
        raise fields.bad(f"a box is four numbers, not {shorten(values)}") from error
    if coco:
        x1, y1 = x0 + x1, y0 + y1
    width, height = frame.size
    cut = [min(max(value / side, 0.0), 1.0) for value, side in ((x0, width), (y0, height), (x1, width), (y1, height))]
    if not all(map(math.isfinite, (x0, y0, x1, y1))) or cut[0] >= cut[2] or cut[1] >= cut[3]:
        raise fields.bad(f"the box {shorten(values)} holds nothing of a picture of {width:g} x {height:g}")
    return turned((cut[0], cut[1], cut[2], cut[3]), frame.turn)


def turned(box: Corners, transpose: Transpose | None) -> Corners:
    """A box of a picture -> that of the transposed picture. Corners are fractions."""
    x0, y0, x1, y1 = box
    if transpose in (Transpose.TRANSPOSE, Transpose.ROTATE_90, Transpose.TRANSVERSE, Transpose.ROTATE_270):
        x0, y0, x1, y1 = y0, x0, y1, x1
    if transpose in (Transpose.FLIP_LEFT_RIGHT, Transpose.ROTATE_180, Transpose.TRANSVERSE, Transpose.ROTATE_270):
        x0, x1 = 1 - x1, 1 - x0
    if transpose in (Transpose.FLIP_TOP_BOTTOM, Transpose.ROTATE_180, Transpose.TRANSVERSE, Transpose.ROTATE_90):
        y0, y1 = 1 - y1, 1 - y0
    return x0, y0, x1, y1


def parse(text: str, style: Style, fields: Fields) -> list[Part]:
    """A text with boxes written in it, as texts and boxes; "none" leaves it as it is.

    Raises:
        SampleError: "bad format", as `fractions`.
    """
    if style == "none":
        return [Text(text)] if text else []
    pattern, read = (_SHIKRA, _shikra) if style == "shikra" else (_KOSMOS, _kosmos)
    parts: list[Part] = []
    end = 0
    for match in pattern.finditer(text):
        label, boxes = read(match, fields)
        space = label[: len(label) - len(label.lstrip())]  # Kosmos-2 writes it within the phrase
        parts += _text(text[end : match.start()] + space)
        parts += labelled(label.strip(), boxes)
        end = match.end()
    return parts + _text(text[end:])


def labelled(label: str, boxes: Iterable[Corners]) -> list[Part]:
    """The boxes of one phrase: the first carries it, in the form that `prompt` writes."""
    return [Box(box, "" if i else label) for i, box in enumerate(boxes)]


def cells(first: int, last: int) -> Corners:
    """Kosmos-2's cells -> the corners of the box from the first cell's to the last one's outer corner."""
    (y0, x0), (y1, x1) = divmod(first, _CELLS), divmod(last, _CELLS)
    return x0 / _CELLS, y0 / _CELLS, (x1 + 1) / _CELLS, (y1 + 1) / _CELLS


def _shikra(match: re.Match[str], fields: Fields) -> tuple[str, list[Corners]]:
    return "", [fractions(box.split(","), fields) for box in match[1].split(";")]


def _kosmos(match: re.Match[str], fields: Fields) -> tuple[str, list[Corners]]:
    found = [int(index) for index in _CELL.findall(match[2])]
    if not found or len(found) % 2 or max(found) >= _CELLS**2:
        raise fields.bad(f"an object is pairs of cells under {_CELLS**2}, not {shorten(match[2])}")
    return match[1] or "", [fractions(cells(*pair), fields) for pair in _pairs(found)]


def _pairs(values: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(values[::2], values[1::2], strict=True))


def _text(text: str) -> list[Part]:
    return [Text(text)] if text.strip() else []
