"""Reading the fields of a record by any of the names that data sets give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seedx.data.record import Record
from seedx.data.sample_errors import SampleError
from seedx.errors import shorten
from seedx.messages import Image

PICTURES = ("jpg", "jpeg", "png", "webp", "image", "img_path", "image_path", "file_name")  # of the one picture there is
URLS = ("url", "URL", "image_url", "photo_image_url")  # of a picture that is not downloaded
SLOT = "<image>"  # where a picture stands, in the texts of many data sets
_EXTENSIONS = ("", ".jpg", ".jpeg", ".png", ".webp")  # `000123.source.png` in a tar is "source.png"


class Fields:
    """The fields of a record; those of its JSON file, as img2dataset writes one beside each picture, are among them.

    A name is a key, or a path of keys: `Task2.Caption` is `fields["Task2"]["Caption"]`.
    """

    def __init__(self, record: Record) -> None:
        inner = record.fields.get("json")
        self.record = record
        self.values = record.fields | inner if isinstance(inner, dict) else record.fields

    def find(self, *names: str) -> Any:
        """The value under the first of these names that has one; None if none has."""
        return next((value for name in names if (value := _follow(self.values, name)) not in (None, "", [])), None)

    def need(self, *names: str) -> Any:
        """As `find`.

        Raises:
            SampleError: "bad format", nothing is there.
        """
        value = self.find(*names)
        if value is None:
            empty = [name for name in names if name in self.values]
            if empty:
                raise self.bad(f"{empty[0]!r} is empty: fill it, or leave the record out")
            wanted = dict.fromkeys(name for name in names if not name.endswith(_EXTENSIONS[1:]))
            raise self.bad(
                f"expected {' or '.join(map(repr, wanted))} among {shorten(', '.join(map(str, self.values)), 300)}"
            )
        return value

    def text(self, *names: str) -> str:
        """The text under the first of these names that has one, stripped."""
        value = self.need(*names)
        if not isinstance(value, str) or not value.strip():
            raise self.bad(f"{' or '.join(map(repr, names))} is a text that is not empty, not {shorten(value)}")
        return value.strip()

    def entries(self, *names: str, optional: bool = False) -> list[Any]:
        """A list; an empty one if it is optional and not there."""
        if optional and self.find(*names) is None:
            return []
        value = self.need(*names)
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise self.bad(f"{' or '.join(map(repr, names))} is a list, not {shorten(value)}")
        return [*value]

    def number(self, *names: str) -> float:
        """A number; of NaN, the caller has to decide."""
        value = self.need(*names)
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError) as error:  # the last: a whole number of 400 digits
            raise self.bad(f"{' or '.join(map(repr, names))} is a number, not {shorten(value)}") from error

    def picture(self, *names: str) -> Image:
        """The picture under the first of these names, or of these names with the ending of a picture file.

        Raises:
            SampleError: "bad format", there is none; "missing file", as `Record.image`.
        """
        return self.open(self.source(*names))

    def source(self, *names: str) -> Any:
        """As `picture`, but what the field holds."""
        url = self.find(*URLS)
        if isinstance(url, str) and self.find(*_with_extensions(names)) is None:
            raise SampleError(
                "missing file",
                self.record.where,
                f"the record has no picture but its URL, {shorten(url)}: download the pictures first, with img2dataset",
            )
        return self.need(*_with_extensions(names))

    def pictures(self, *names: str) -> list[Image]:
        """As `picture`, for a field that may hold one or a list; empty if there is none."""
        value = self.find(*_with_extensions(names))
        if value is None:
            return []
        return [self.open(one) for one in (value if isinstance(value, list) else [value])]

    def open(self, value: Any) -> Image:
        """`Record.image` as a part of a message."""
        return Image(self.record.image(value))

    def bad(self, detail: str) -> SampleError:
        """The error to raise for a record that is not in the format's layout."""
        return SampleError("bad format", self.record.where, detail)

    def filtered(self, detail: str) -> SampleError:
        """The error to raise for a good record that is not wanted."""
        return SampleError("filtered", self.record.where, detail)


def _with_extensions(names: Sequence[str]) -> list[str]:
    return [name + extension for name in names for extension in _EXTENSIONS]


def _follow(values: Any, name: str) -> Any:
    if not isinstance(values, dict) or name in values:
        return values.get(name) if isinstance(values, dict) else None
    head, dot, rest = name.partition(".")
    return _follow(values.get(head), rest) if dot else None
