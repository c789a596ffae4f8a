"""A contact sheet of samples: rows of pictures with names and captions."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

SIDE, GAP, LABEL, LINE = 120, 8, 150, 15  # pixels
CELL = 256  # pixels: the largest width of a picture in a table


def sheet(rows: Sequence[tuple[str, Sequence[Image.Image | None]]], captions: Sequence[str]) -> Image.Image:
    """Rows of pictures with their names on the left and captions below the columns; empty rows are dropped."""
    rows = [(name, pictures) for name, pictures in rows if any(pictures)]
    font = ImageFont.load_default(12)
    texts = [wrapped(caption, font, SIDE) for caption in captions]
    below = GAP + LINE * max((text.count("\n") + 1 for text in texts if text), default=0)
    step = SIDE + GAP
    columns = max(len(pictures) for _, pictures in rows)
    canvas = Image.new("RGB", (LABEL + columns * step, len(rows) * step + below), "white")
    pen = ImageDraw.Draw(canvas)
    for index, (name, pictures) in enumerate(rows):
        pen.multiline_text((GAP, index * step + GAP), wrapped(name, font, LABEL - 2 * GAP), fill="#222222", font=font)
        for column, picture in enumerate(pictures):
            if picture:
                fitted = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
                canvas.paste(fitted, (LABEL + column * step, index * step))
    for column, text in enumerate(texts):
        pen.multiline_text((LABEL + column * step, len(rows) * step), text, fill="#222222", font=font)
    return canvas


def small(picture: Image.Image) -> Image.Image:
    """The picture, at most as wide as a table cell."""
    scale = min(1.0, CELL / picture.width)
    return picture.resize((round(scale * picture.width), max(1, round(scale * picture.height))))


def wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """The text in lines of at most `width` pixels, as far as words allow."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(line for line in lines if line)
