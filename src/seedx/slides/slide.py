"""`Slide`: read from a reply, checked, laid out again and written to files."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import PIL.Image

from seedx.messages import Image, Text
from seedx.slides.elements import LONGEST_TITLE, Element, ImageElement, TextElement
from seedx.slides.form import PLACE
from seedx.slides.parse import parse
from seedx.slides.space import covered, fits, moved, pushed_in, smaller
from seedx.tokens import LOCS, to_loc


@dataclass(frozen=True)
class Slide:
    """
    Attributes:
        width, height: EMU, 914,400 to the inch.
        elements: texts and pictures, the lowest first.
        repairs: what was repaired in the model's text, in words.
    """

    width: int
    height: int
    elements: tuple[Element, ...]
    repairs: tuple[str, ...] = ()

    @classmethod
    def parse(cls, content: Sequence[Text | Image[PIL.Image.Image]]) -> Slide:
        """Read a slide from a reply's `content`: its form is that of `form.py`.

        Where the meaning is clear, what is malformed is repaired: brackets, quotes and commas that are missing or too
        many, numbers in place of loc tokens, loc tokens past the last, font sizes that are missing, pictures that stand
        beside their element, words around the slide, an element at the end that was cut off.

        Raises:
            SeedxError: it can't be understood; the message shows what was expected and what is there.
        """
        size, elements, repairs = parse(content)
        slide = cls(*size, elements, repairs)
        if slide.title and len(slide.title) > LONGEST_TITLE:
            cut = f"cut the title to {LONGEST_TITLE} characters in the properties of a .pptx"
            return dataclasses.replace(slide, repairs=(*repairs, cut))
        return slide

    @property
    def texts(self) -> list[TextElement]:
        return [element for element in self.elements if isinstance(element, TextElement)]

    @property
    def images(self) -> list[ImageElement]:
        return [element for element in self.elements if isinstance(element, ImageElement)]

    @property
    def title(self) -> str | None:
        """The words of the paragraph that is set larger than every other one."""
        paragraphs = [p for text in self.texts for p in text.paragraphs if p.text.strip()]
        largest = max((p.font_size for p in paragraphs), default=0)
        titles = [p.text for p in paragraphs if p.font_size == largest]
        return titles[0] if len(titles) == 1 else None

    def overlaps(self) -> list[tuple[Element, Element]]:
        """Pairs of elements that overlap. Text on a plain region of a picture does not count."""
        pairs = []
        for one, other in combinations(self.elements, 2):
            text, rest = (one, other) if isinstance(one, TextElement) else (other, one)
            if covered(text, rest) if isinstance(text, TextElement) else text.shared(rest):
                pairs.append((one, other))
        return pairs

    def problems(self) -> list[str]:
        """The faults of the layout, in words; text is measured with Pillow's font."""
        found = [f"{element} sticks out of the slide" for element in self.elements if element.outside]
        found += [f"{one} and {other} overlap" for one, other in self.overlaps()]
        found += [f"{text} does not fit its box" for text in self.texts if not fits(text, self.size)]
        return found if self.title else [*found, "there is no title: one paragraph larger than all others"]

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height

    def fitted(self) -> Slide:
        """A copy in which texts are within the slide, beside the pictures and each other where there is room, and set
        smaller, down to 10 points, where they do not fit. Pictures stay. See what is left with `problems`."""
        elements = list(self.elements)
        order = [index for index, element in enumerate(elements) if isinstance(element, TextElement)]
        for index in order:
            text = elements[index]
            assert isinstance(text, TextElement)
            text = pushed_in(text)
            settled = [e for other, e in enumerate(elements) if isinstance(e, ImageElement) or other < index]
            if any(covered(text, other) for other in settled):
                text = moved(text, [e for e in elements if e is not elements[index]], self.size) or text
            elements[index] = smaller(text, self.size) or text
        return dataclasses.replace(self, elements=tuple(elements))

    def to_json(self) -> str:
        """The slide as JSON, in the form that `parse` reads, with loc tokens in quotes and without pixels."""
        elements = [self._values(element) for element in self.elements]
        values = {"slide_width": self.width, "slide_height": self.height, "elements": elements}
        return json.dumps(values, indent=1, ensure_ascii=False)

    def to_image(self, width: int = 960) -> PIL.Image.Image:
        """The slide as a picture of a width in pixels, drawn with Pillow alone."""
        from seedx.slides.picture import paint

        return paint(self.size, self.elements, width)

    def to_pptx(self, path: str | Path) -> None:
        """Write a presentation of this one slide.

        Raises:
            SeedxError: the package python-pptx is missing.
        """
        from seedx.slides.presentation import save

        save(self.size, self.elements, self.title, path)

    @staticmethod
    def _values(element: Element) -> dict[str, object]:
        places = {name: LOCS[to_loc(min(max(getattr(element, name), 0.0), 1.0))] for name in PLACE}
        if isinstance(element, TextElement):
            paragraphs = [{"texts": p.text, "font_size": p.font_size} for p in element.paragraphs]
            return {"type": "text", **places, "paragraphs": paragraphs}
        return {"type": "image", **places}
