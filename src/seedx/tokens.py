"""The 330 tokens added to the language model's vocabulary, and boxes as text. Standard library only.

    <img_00000> ... <img_00099>   placeholders of image content; the first `BridgeConfig.queries` of them are used
    <img> </img>                  around a whole image (the thumbnail of an image read, or an image drawn)
    <patch> </patch>              around one tile of an image read
    <loc-0> ... <loc-223>         box coordinates
    <box_start> <box_end>         around one box

A vocabulary may lack the tokens of tiles and of boxes: SEED-Story's has 64 placeholders, `<img>` and `</img>` alone.
One of our own may have two more, which stand around the plan of an image that is drawn, its boxes:

    <plan> </plan>                right before `<img>`

A box is `<box_start><loc-xc><loc-yc><loc-w><loc-h><box_end>`: centre and size as fractions of the image in 224ths.
There are 224 of these tokens for the 225 marks from 0/224 to 224/224, so the last one stands for both 223/224 and 1. It
is read as 1, because a side as long as the image is common and one that is a hair shorter is not:

    (0.00, 0.25, 1.00, 0.75)                 the full width, the middle half of the height
    centre (0.5, 0.5), size (1.0, 0.5)
    112 112 224 112 -> 112 112 223 112       written, the last index at most 223
    centre (0.5, 0.5), size (1.0, 0.5)       read, 223 being 1
    (0.00, 0.25, 1.00, 0.75)
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from seedx.errors import SeedxError
from seedx.messages import Box

PLACEHOLDERS = tuple(f"<img_{i:05d}>" for i in range(100))
IMAGE_START, IMAGE_END = "<img>", "</img>"
PATCH_START, PATCH_END = "<patch>", "</patch>"
LOCS = tuple(f"<loc-{i}>" for i in range(224))
BOX_START, BOX_END = "<box_start>", "<box_end>"

PLAN_START, PLAN_END = "<plan>", "</plan>"

ADDED_TOKENS = (*PLACEHOLDERS, IMAGE_START, IMAGE_END, PATCH_START, PATCH_END, *LOCS, BOX_START, BOX_END)
PLAN_TOKENS = (PLAN_START, PLAN_END)
_PATCH = (PATCH_START, PATCH_END)
TEXT_TOKENS = (*LOCS, BOX_START, BOX_END)  # the added tokens that people and models write as text

_STEPS = len(LOCS)
_OVERSHOOT = 1e-3  # of a data set's coordinates by rounding, which is tolerated
_BOX = re.compile(r"<box_start>((?:\s*<loc-\d+>){4})\s*<box_end>")
# A box with the brackets that some models write around one or several; or their beginning alone.
# It begins where no space is before: a long run of spaces is then read once.
_BOX_AND_SPACE = re.compile(
    r"(?<![ \t])[ \t]*(?:(?:\[\[\s*)?<box_start>.*?(?:<box_end>(?:\s*\]\])?|$)|\[\[\s*$)", re.DOTALL
)
_CLOSED = re.compile(r"^\s*\]\]")  # the end of the brackets around the box before
_LOC = re.compile(r"<loc-(\d+)>")
_CLAUSE = re.compile(r"[.,;:!?](?=\s|$)|\n|<box_start>|<box_end>|<loc-\d+>")  # what ends the words before a label


@dataclass(frozen=True)
class SpecialTokens:
    """Ids of the special tokens. `placeholders` and `locs` are in order. What the vocabulary lacks is None or empty."""

    placeholders: tuple[int, ...]
    image_start: int
    image_end: int
    patch_start: int | None
    patch_end: int | None
    locs: tuple[int, ...]
    box_start: int | None
    box_end: int | None
    bos: int
    eos: int
    pad: int
    plan_start: int | None = None
    plan_end: int | None = None

    @classmethod
    def at(cls, base: int, *, bos: int = 1, eos: int = 2, pad: int = 0) -> SpecialTokens:
        """The ids when `ADDED_TOKENS` follow a vocabulary of `base` tokens: `at(32000)` is the release."""
        return cls.find({token: base + i for i, token in enumerate(ADDED_TOKENS)}, bos=bos, eos=eos, pad=pad)

    @classmethod
    def find(cls, vocabulary: Mapping[str, int], *, bos: int, eos: int, pad: int) -> SpecialTokens:
        """Look the tokens up by name, in whatever order they were added.

        A vocabulary may have fewer placeholders. It may lack both tokens of tiles, all of boxes, and both of plans.

        Raises:
            SeedxError: a token is missing.
        """
        placeholders = tuple(vocabulary[token] for token in PLACEHOLDERS if token in vocabulary)
        groups = [group for group in (_PATCH, TEXT_TOKENS, PLAN_TOKENS) if any(token in vocabulary for token in group)]
        needed = (PLACEHOLDERS[0], IMAGE_START, IMAGE_END, *(token for group in groups for token in group))
        missing = [token for token in needed if token not in vocabulary]
        if missing:
            raise SeedxError(
                f"the tokenizer lacks {len(missing)} of SEED-X's added tokens, the first is {missing[0]!r}: "
                "add seedx.tokens.ADDED_TOKENS to it, in order"
            )
        return cls(
            placeholders=placeholders,
            image_start=vocabulary[IMAGE_START],
            image_end=vocabulary[IMAGE_END],
            patch_start=vocabulary.get(PATCH_START),
            patch_end=vocabulary.get(PATCH_END),
            locs=tuple(vocabulary[token] for token in LOCS if token in vocabulary),
            box_start=vocabulary.get(BOX_START),
            box_end=vocabulary.get(BOX_END),
            bos=bos,
            eos=eos,
            pad=pad,
            plan_start=vocabulary.get(PLAN_START),
            plan_end=vocabulary.get(PLAN_END),
        )

    def loc(self, index: int) -> int:
        """The id of `<loc-index>`."""
        return self.locs[index]

    def image(self, queries: int) -> list[int]:
        """`<img>`, the first `queries` placeholders, `</img>`: a thumbnail that is read, or an image that is drawn."""
        return [self.image_start, *self._content(queries), self.image_end]

    def patch(self, queries: int) -> list[int]:
        """`<patch>`, the first `queries` placeholders, `</patch>`: one tile that is read.

        Raises:
            SeedxError: the vocabulary has no such tokens.
        """
        if self.patch_start is None or self.patch_end is None:
            raise SeedxError(
                "this model's tokenizer has no <patch>, so of each picture only the thumbnail can be read: set "
                'grids ["1x1"] and single_tile false in the tiling of its config.json'
            )
        return [self.patch_start, *self._content(queries), self.patch_end]

    def _content(self, queries: int) -> tuple[int, ...]:
        if not 0 < queries <= len(self.placeholders):
            raise SeedxError(
                f"an image takes 1 to {len(self.placeholders)} placeholders with this tokenizer, not {queries}"
            )
        return self.placeholders[:queries]


def to_loc(value: float) -> int:
    """A fraction of a side, in 0..1, as the index of a loc token: the nearest 224th, at most 223."""
    if not -_OVERSHOOT <= value <= 1 + _OVERSHOOT:  # also catches NaN
        raise SeedxError(
            f"a coordinate is a fraction of the image in 0..1, not {value}: divide pixels by its width or height"
        )
    return min(max(math.floor(value * _STEPS + 0.5), 0), _STEPS - 1)


def from_loc(index: int) -> float:
    """The fraction that `<loc-index>` stands for; 223, and anything past it, is 1."""
    return 1.0 if index >= _STEPS - 1 else index / _STEPS


def box_to_text(box: Sequence[float]) -> str:
    """Corners (x0, y0, x1, y1) as fractions of the image -> one box in loc tokens. See the top of the file.

    Raises:
        SeedxError: not four numbers in 0..1, or a corner before the other one.
    """
    if len(box) != 4 or box[2] < box[0] or box[3] < box[1]:
        raise SeedxError(
            f"a box is (x0, y0, x1, y1) with x0 <= x1 and y0 <= y1, as fractions of the image, not {tuple(box)}"
        )
    x0, y0, x1, y1 = box
    for corner in box:
        to_loc(corner)  # a centre can be within the image when a corner is not
    centre_and_size = ((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0)
    return BOX_START + "".join(LOCS[to_loc(min(value, 1.0))] for value in centre_and_size) + BOX_END


def boxes_to_text(boxes: Iterable[Box]) -> str:
    """Boxes as a model writes them: each label and its box, "cat <box...> star <box...>"."""
    return " ".join(f"{box.label} {box_to_text(box.box)}".strip() for box in boxes)


def text_to_boxes(text: str) -> list[Box]:
    """Every well-formed box in a text, in order, cut to the image.

    Its label is the words before it, since the last box, line, or sign that ends a clause, without [[ and ]]:
    `"Two cats: the black cat <box...>, and a star<box...>"` gives "the black cat" and "a star".
    White space between the tokens is allowed, as the release's tokenizer writes it. A box with more or fewer than four
    coordinates is passed over.
    """
    boxes, end = [], 0
    for match in _BOX.finditer(text):
        words = text[end : match.start()].rstrip().removesuffix("[[").rstrip()
        label = _CLAUSE.split(_CLOSED.sub("", words))[-1].strip()
        boxes.append(Box(_corners(int(index) for index in _LOC.findall(match[1])), label.removeprefix("and ").strip()))
        end = match.end()
    return boxes


def strip_boxes(text: str) -> str:
    """The text without its boxes, their [[ and ]], and an unfinished box."""
    return _BOX_AND_SPACE.sub("", text)


def _corners(locs: Iterable[int]) -> tuple[float, float, float, float]:
    xc, yc, w, h = (from_loc(index) for index in locs)
    x0, y0, x1, y1 = (min(max(v, 0.0), 1.0) for v in (xc - w / 2, yc - h / 2, xc + w / 2, yc + h / 2))
    return x0, y0, x1, y1
