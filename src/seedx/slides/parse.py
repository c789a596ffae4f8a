"""The values that a reader found -> the elements of a slide."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import PIL.Image

from seedx.checks import is_finite
from seedx.errors import SeedxError, shorten
from seedx.messages import Image, Text
from seedx.slides.elements import EMU_PER_POINT, FONT_SIZES, Element, ImageElement, Paragraph, TextElement, clean
from seedx.slides.form import PLACE
from seedx.slides.reader import Reader
from seedx.tokens import LOCS, from_loc

SIZE = (12_192_000, 6_858_000)  # EMU; of a slide without one: 16:9
SIDES = (914_400, 51_206_400)  # EMU: the limits of presentation programs, 1 to 56 inches
FONT_SIZE = 18  # points; of a text without one, as in presentation programs
FAR = (-1, 2)  # slides: a place further outside is an error
TEXT_WORDS = ("text", "title", "body", "textbox", "paragraph")
IMAGE_WORDS = ("image", "picture", "photo", "img", "figure")

Size = tuple[int, int]

_LOC = re.compile(r"<loc-(\d{1,9})>")
_POINTS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s{0,9}(?:pt)?")


def parse(content: Sequence[Text | Image[PIL.Image.Image]]) -> tuple[Size, tuple[Element, ...], tuple[str, ...]]:
    """The width and height in EMU, the elements, and what was repaired. See `Slide.parse` for what is repaired."""
    reader = Reader(content)
    values = reader.read()
    builder = Builder(reader)
    found = values.get("elements")
    if not isinstance(found, list) or not found:
        raise SeedxError(f'a slide has a list "elements" that is not empty, not {shorten(found)}')
    elements = builder.elements(found, builder.size(values))
    return builder.size(values), elements, tuple(dict.fromkeys(reader.repairs))


class Builder:
    """Checks values, and adds its repairs to those of the reader."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def size(self, values: dict[str, Any]) -> Size:
        given = (values.get("slide_width"), values.get("slide_height"))
        if all(isinstance(side, int | float) and SIDES[0] <= side <= SIDES[1] for side in given):
            return round(given[0]), round(given[1])  # type: ignore[arg-type]
        self._repaired(f"took {SIZE[0]} x {SIZE[1]} EMU as the size of the slide")
        return SIZE

    def elements(self, found: list[Any], size: Size) -> tuple[Element, ...]:
        if self.reader.cut and len(found) > 1 and not _complete(found[-1]):
            self._repaired("left out the last element, which is cut off")
            found = found[:-1]
        kinds = [self._kind(values) for values in found]
        for kind, values in zip(kinds, found, strict=True):
            if kind == "text" and isinstance(values.get("image"), PIL.Image.Image):
                self.reader.stray.append(values["image"])
        self._give_pictures([values for kind, values in zip(kinds, found, strict=True) if kind == "image"])
        return tuple(self._element(kind, values, size) for kind, values in zip(kinds, found, strict=True))

    def _kind(self, values: Any) -> str:
        if not isinstance(values, dict):
            raise SeedxError(f"an element of a slide is an object in braces, not {shorten(values)}")
        kind = values.get("type")
        if kind in ("text", "image"):
            return str(kind)
        for meant, words in (("text", TEXT_WORDS), ("image", IMAGE_WORDS)):
            if (isinstance(kind, str) and kind.lower() in words) or (kind is None and _content(meant) in values):
                self._repaired(f"took an element of type {kind!r} as {meant}")
                return meant
        raise SeedxError(f'an element of a slide is of type "text" or "image", not {shorten(kind)}')

    def _give_pictures(self, images: list[dict[str, Any]]) -> None:
        """Pictures without an element go to elements without a picture."""
        for values in images:
            if not isinstance(values.get("image"), PIL.Image.Image) and self.reader.stray:
                values["image"] = self.reader.stray.pop(0)
                self._repaired("moved a picture to an image element that had none")
        if self.reader.stray:
            self._repaired(f"left out {len(self.reader.stray)} picture(s) that have no element")

    def _element(self, kind: str, values: dict[str, Any], size: Size) -> Element:
        x, y, width, height = (self._place(name, values.get(name), size[i % 2]) for i, name in enumerate(PLACE))
        if min(width, height) <= 0:
            raise SeedxError(f"an element of a slide has a width and a height over 0, not {width:.3f} x {height:.3f}")
        if kind == "image":
            image = values.get("image")
            return ImageElement(x, y, width, height, image if isinstance(image, PIL.Image.Image) else None)
        return TextElement(x, y, width, height, self._paragraphs(values.get("paragraphs")))

    def _place(self, name: str, value: Any, side: int) -> float:
        """A fraction of the slide. A plain number is one up to 1, a loc token's index up to 224, and EMU above."""
        if isinstance(value, str) and (match := _LOC.fullmatch(value.strip())):
            if int(match[1]) >= len(LOCS):
                self._repaired(f"cut {value} to {LOCS[-1]}")
            return from_loc(int(match[1]))
        if isinstance(value, bool) or not isinstance(value, int | float) or not is_finite(value):
            raise SeedxError(f'the "{name}" of an element is a loc token such as <loc-12>, not {shorten(value)}')
        fraction = value if abs(value) <= 1 else value / len(LOCS) if abs(value) <= len(LOCS) else value / side
        if not FAR[0] <= fraction <= FAR[1]:
            raise SeedxError(
                f'"{name}": {shorten(value)} is far outside of the slide: write a loc token such as <loc-12>'
            )
        self._repaired(f'read "{name}": {value} as {fraction:.3f} of the slide')
        return float(fraction)

    def _paragraphs(self, found: Any) -> tuple[Paragraph, ...]:
        if isinstance(found, str | dict):
            self._repaired("made a list of the only paragraph")
            found = [found]
        if not isinstance(found, list):
            raise SeedxError(f'a text has a list "paragraphs", not {shorten(found)}')
        return tuple(self._paragraph(one) for one in found if one is not None)

    def _paragraph(self, found: Any) -> Paragraph:
        if isinstance(found, str):
            found = {"texts": found}
        words = None
        if isinstance(found, dict):
            words = found.get("texts", found.get("text"))
            if "texts" not in found:
                self._repaired('read "text" as "texts"')
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            self._repaired("joined the texts of a paragraph")
            words = " ".join(words)
        if not isinstance(words, str):
            raise SeedxError(f'a paragraph is {{"texts": words, "font_size": points}}, not {shorten(found)}')
        if (cleaned := clean(words)) != words:
            self._repaired("left out control characters of a text")
        return Paragraph(cleaned, self._font_size(found))

    def _font_size(self, found: dict[str, Any]) -> float:
        value = found.get("font_size", "missing")
        if value is None:
            return FONT_SIZE
        if isinstance(value, str) and (match := _POINTS.fullmatch(value.strip())):
            value = float(match[1])
            self._repaired(f"read a font size as {value:g} points")
        if isinstance(value, bool) or not isinstance(value, int | float) or not is_finite(value) or value <= 0:
            self._repaired(
                f"took {FONT_SIZE} points as a font size ({value if value == 'missing' else shorten(value)})"
            )
            return FONT_SIZE
        if value >= EMU_PER_POINT:
            value = value / EMU_PER_POINT
            self._repaired(f"read a font size in EMU as {value:g} points")
        if not FONT_SIZES[0] <= value <= FONT_SIZES[1]:
            value = min(max(value, FONT_SIZES[0]), FONT_SIZES[1])
            self._repaired(f"cut a font size to {value} points")
        size: float = value
        return size

    def _repaired(self, what: str) -> None:
        self.reader.repairs.append(what)


def _content(kind: str) -> str:
    return "paragraphs" if kind == "text" else "image"


def _complete(values: Any) -> bool:
    """Whether an element at the end of a text that was cut off has all its fields."""
    if not isinstance(values, dict) or any(values.get(name) is None for name in ("type", *PLACE)):
        return False
    if values["type"] != "text":
        return True
    paragraphs = values.get("paragraphs")
    return isinstance(paragraphs, list) and all(
        isinstance(p, dict) and isinstance(p.get("texts"), str) for p in paragraphs
    )
