"""Self-contained HTML pages: one style for all, and pictures as data URLs, at a size at which they can be seen."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable
from string import Template

import PIL.Image

SMALL = 256  # pictures with a shorter longest side are shown at this size, pixel by pixel
HIGHEST = 360  # pixels at which a picture is shown at most


def filled(template: Traversable, **fields: str) -> str:
    """A template, an HTML file, with its fields and the common style filled in."""
    style = (resources.files("seedx") / "assets" / "page.css").read_text(encoding="utf-8")
    return Template(template.read_text(encoding="utf-8")).substitute(style=style, **fields)


def facts(values: dict[str, str]) -> str:
    """Short facts in a line: name and value."""
    return "".join(f"<span>{name} <b>{html.escape(value)}</b></span>" for name, value in values.items())


def figures(pictures: Iterable[tuple[PIL.Image.Image, str]], small: int = SMALL) -> str:
    """A row of pictures with their captions; nothing for none."""
    row = "".join(_figure(picture, caption, small) for picture, caption in pictures)
    return f'<div class="pictures">{row}</div>' if row else ""


def _figure(picture: PIL.Image.Image, caption: str, small: int) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    data = base64.b64encode(file.getvalue()).decode()
    enlarged = max(picture.size) < small
    width = picture.width * max(1, round(small / max(picture.size))) if enlarged else picture.width
    width = min(width, round(HIGHEST * picture.width / picture.height))
    shown = f'<img{" class=small" if enlarged else ""} width="{width}" alt="" src="data:image/png;base64,{data}">'
    return f"<figure>{shown}<figcaption>{html.escape(caption)}</figcaption></figure>"
