"""The filters of every format: by scores that the data set gives, and by the size of the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import PIL.Image
from PIL.Image import Transpose

from seedx.data.formats.fields import Fields
from seedx.data.sample_errors import SampleError
from seedx.errors import SeedxError
from seedx.hints import Ratio
from seedx.images import TRAINING_MAX_PIXELS, large_enough, read_header, upright_transpose
from seedx.messages import Image, Message, images


@dataclass(frozen=True)
class Filters:
    """
    Attributes:
        at_least: lowest value of a field by its name: {"similarity": 0.3}.
        at_most: highest value of a field by its name: {"pwatermark": 0.8, "punsafe": 0.5}.
        min_side: shorter side of every picture, pixels.
        min_aspect_ratio: shorter side of every picture divided by its longer one, 0 to 1.
    """

    at_least: Mapping[str, float] = field(default_factory=dict)
    at_most: Mapping[str, float] = field(default_factory=dict)
    min_side: int = 0
    min_aspect_ratio: Ratio = 0.0

    def check_scores(self, fields: Fields) -> None:
        """
        Raises:
            SampleError: "filtered", also if the score is NaN; "bad format" if the record lacks the score.
        """
        for name, bound in self.at_least.items():
            if not (value := fields.number(name)) >= bound:  # also of NaN, which tables have for "not known"
                raise fields.filtered(f"{name} {value:g} is not at least {bound:g}")
        for name, bound in self.at_most.items():
            if not (value := fields.number(name)) <= bound:
                raise fields.filtered(f"{name} {value:g} is not at most {bound:g}")

    def check_sizes(self, messages: Sequence[Message], fields: Fields) -> None:
        """Read the header of every picture; no pixels are decoded, and no file is opened if no size is required.

        Raises:
            SampleError: "filtered"; "broken image" if there is no header to read.
        """
        if not self.min_side and not self.min_aspect_ratio:
            return
        for part in images(messages):
            width, height = picture_size(part, fields)
            if not large_enough((width, height), min_side=self.min_side, min_aspect_ratio=self.min_aspect_ratio):
                raise fields.filtered(f"a picture of {width} x {height} pixels")


def picture_size(part: Image, fields: Fields) -> tuple[int, int]:
    """Width and height in pixels as they are stored, by the header alone.

    Raises:
        SampleError: "broken image".
    """
    with _header(part, fields) as picture:
        return picture.size


def stored_form(part: Image, fields: Fields) -> tuple[tuple[int, int], Transpose | None]:
    """Width and height in pixels as they are stored, and the transpose that brings the picture upright.

    A PNG may hold its EXIF data after its pixels, and is decoded to find them.

    Raises:
        SampleError: "broken image".
    """
    with _header(part, fields) as picture:
        try:
            return picture.size, upright_transpose(picture)
        except OSError as error:
            raise SampleError("broken image", fields.record.where, str(error)) from error


def _header(part: Image, fields: Fields) -> PIL.Image.Image:
    try:
        return read_header(part.image, max_pixels=TRAINING_MAX_PIXELS)
    except SeedxError as error:
        raise SampleError("broken image", fields.record.where, str(error)) from error
