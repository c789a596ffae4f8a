"""The written form of a slide, in a model's replies and in training data.

The layout is that of the paper's slides (arXiv 2404.14396): `slide_width` and `slide_height` in EMU (914,400 to the
inch), and `elements` of type "image" or "text" with the corner `x`, `y` and the size `width`, `height`; a text has
`paragraphs` of {"texts", "font_size"}. The places are loc tokens, 224ths of the slide, and each picture is drawn behind
its element:

    {"slide_width": 9144000, "slide_height": 6858000, "elements": [{"type": "image", "x": <loc-112>, "y": <loc-0>,
     "width": <loc-112>, "height": <loc-223>}<img>...</img>, {"type": "text", "x": <loc-8>, ...}]}
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from seedx.messages import Image, Part, Text

PLACE = ("x", "y", "width", "height")


def write(width: float, height: float, elements: Iterable[dict[str, Any]]) -> list[Part[Any]]:
    """A slide as the parts of a message: texts, and the pictures between them.

    Args:
        width, height: of the slide, EMU.
        elements: of each the "type", the place as loc tokens, and the "paragraphs" of a text; or the "image" of an
            image, an `Image` to be drawn, left out where none is.
    """
    text = json.dumps({"slide_width": width, "slide_height": height})[:-1] + ', "elements": ['
    parts: list[Part[Any]] = []
    for index, element in enumerate(elements):
        text += f"{', ' if index else ''}{_element(element)}"
        if isinstance(picture := element.get("image"), Image):
            parts += [Text(text), picture]
            text = ""
    return [*parts, Text(f"{text}]}}")]


def _element(element: dict[str, Any]) -> str:
    written = [f'"type": "{element["type"]}"', *(f'"{name}": {element[name]}' for name in PLACE)]
    if "paragraphs" in element:
        written.append(f'"paragraphs": {json.dumps(element["paragraphs"], ensure_ascii=False)}')
    return "{" + ", ".join(written) + "}"
