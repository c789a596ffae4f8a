"""Slides: a page as JSON, with the pictures on it, in the form that `slide/form.py` describes."""

from __future__ import annotations

import random
import re
from typing import Any

from seedx.data.formats.fields import PICTURES, Fields
from seedx.data.record import Record
from seedx.errors import shorten
from seedx.hints import Ratio
from seedx.messages import Message, Part, assistant, system, user
from seedx.slides.form import PLACE, write
from seedx.tokens import LOCS, to_loc

LARGEST = 1e12  # EMU, a thousand kilometres; NaN and numbers of 400 digits are no places either
_LOC = re.compile(r"<loc-\d+>")


def slides(record: Record, rng: random.Random, *, draw: Ratio = 1.0, instruct: bool = True) -> list[Message]:
    """A slide to design or to read.

    A record has `slide`, that JSON (or its keys at the top), where places may be EMU, as python-pptx gives them,
    or loc tokens, and an "image" element has the field `image`; `instruction` (or `title`), what the slide is about;
    and, to be read, the whole slide as a picture under `image`.

    Args:
        draw: the share that is designed: user(instruction), assistant(JSON and pictures). The others are read:
            user(picture of the slide, a question), assistant(JSON).
        instruct: False leaves the question out, as in pre-training: system(instruction or picture), assistant(JSON).
    """
    fields = Fields(record)
    slide = fields.need("slide") if fields.find("slide") is not None else fields.values
    if rng.random() < draw:
        topic = fields.text("instruction", "title")
        return [(user if instruct else system)(topic), assistant(*_written(slide, fields, drawn=True))]
    picture = fields.picture(*PICTURES)
    asked = user(picture, "Write this slide as JSON.") if instruct else system(picture)
    return [asked, assistant(*_written(slide, fields, drawn=False))]


def _written(slide: Any, fields: Fields, drawn: bool) -> list[Part]:
    if not isinstance(slide, dict) or not isinstance(slide.get("elements"), list) or not slide["elements"]:
        raise fields.bad('a slide is {"slide_width", "slide_height", "elements": [...]}')
    sizes: list[Any] = [slide.get("slide_width"), slide.get("slide_height")]
    if not all(isinstance(size, (int, float)) and 0 < size < LARGEST for size in sizes):
        raise fields.bad(f"the slide's width and height are numbers, not {shorten(sizes)}")
    return write(sizes[0], sizes[1], (_element(element, sizes, fields, drawn) for element in slide["elements"]))


def _element(element: Any, sizes: list[Any], fields: Fields, drawn: bool) -> dict[str, Any]:
    kind = element.get("type") if isinstance(element, dict) else None
    if kind not in ("image", "text"):
        raise fields.bad(f'an element is of type "image" or "text", not {shorten(kind)}')
    places = {name: _place(element.get(name), sizes[i % 2], name, fields) for i, name in enumerate(PLACE)}
    if kind == "text":
        return {"type": kind, **places, "paragraphs": _paragraphs(element, fields)}
    return {"type": kind, **places} | ({"image": fields.open(element.get("image"))} if drawn else {})


def _place(value: Any, size: float, name: str, fields: Fields) -> str:
    if isinstance(value, str) and _LOC.fullmatch(value) and value in LOCS:
        return value
    if not isinstance(value, (int, float)) or not -LARGEST < value < LARGEST:
        raise fields.bad(f"{name!r} is EMU or a loc token, not {shorten(value)}")
    return LOCS[to_loc(min(max(value / size, 0.0), 1.0))]  # shapes may stick out of a slide


def _paragraphs(element: dict[str, Any], fields: Fields) -> list[dict[str, Any]]:
    found = element.get("paragraphs")
    written = []
    for paragraph in found if isinstance(found, list) else [found]:
        match paragraph:
            case {"texts": str(texts), "font_size": (int() | float() | None) as size} if 0 <= (size or 0) < LARGEST:
                written.append({"texts": texts, "font_size": size})
            case _:
                raise fields.bad(
                    f'a paragraph is {{"texts": words, "font_size": a number or null}}, not {shorten(paragraph)}'
                )
    return written
