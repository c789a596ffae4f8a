"""Boxes drawn on a picture, with their labels."""

from __future__ import annotations

import math
from collections.abc import Iterable

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from seedx.messages import Box

COLOURS = ("#e6194b", "#0072b2", "#3a8f3a", "#b35900", "#7b3fa0", "#00808a")
LEGIBLE = 384  # pixels of the shorter side under which a picture is enlarged, so that labels can be read


def mark_boxes(picture: PIL.Image.Image, boxes: Iterable[Box]) -> PIL.Image.Image:
    """A copy with every box outlined and labelled. A small picture is enlarged by a whole number."""
    scale = max(1, math.ceil(LEGIBLE / min(picture.size)))
    scale = 1 if max(picture.size) * scale > 4 * LEGIBLE else scale
    marked = picture.convert("RGB").resize(
        (picture.width * scale, picture.height * scale), PIL.Image.Resampling.NEAREST
    )
    pen = PIL.ImageDraw.Draw(marked)
    line = max(2, min(marked.size) // 120)
    font = PIL.ImageFont.load_default(max(12, min(marked.size) // 20))
    for number, box in enumerate(boxes):
        x0, y0, x1, y1 = (round(v * side) for v, side in zip(box.box, marked.size * 2, strict=True))
        colour = COLOURS[number % len(COLOURS)]
        pen.rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), outline=colour, width=line)
        if box.label:
            wide, high = pen.textbbox((0, 0), box.label, font=font)[2:]
            top = max(0, y0 - high - 2 * line)  # above the box, or on it where there is no room
            pen.rectangle((x0, top, x0 + wide + 2 * line, top + high + 2 * line), fill=colour)
            pen.text((x0 + line, top + line), box.label, fill="white", font=font)
    return marked
