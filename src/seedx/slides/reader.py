"""Reads a slide's JSON as a model wrote it: repairs what is malformed, and refuses what is ambiguous.

    {"type": "image", x: <loc-8>, "y": "<loc-8>", ... ,}<img>...</img>, {"type"...

A loc token is a value, bare or in quotes. A picture belongs to the object that it stands behind or in. Every repair is
noted in `Reader.repairs`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import PIL.Image

from seedx.errors import SeedxError
from seedx.messages import Image, Text

PICTURE = "\0"  # stands for a picture in the text that is read
LONGEST_NUMBER = 300  # characters: a longer one is read as a float, which may be infinite
CONSTANTS = {"null": None, "true": True, "false": False}
DEEPEST = 12  # brackets within brackets; a slide has five

_SPACE = re.compile(r"\s*")
_ATOM = re.compile(r"<loc-\d+>|-?\d+(\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+)?|null|true|false")
_BARE = re.compile(r"[A-Za-z_]\w*")
_STRING_END = re.compile(r'\s*(?:[,:}\]"\0]|<loc-|$)')
_ESCAPE = re.compile(r'["\\/bfnrt]|u[dD][89abAB]..\\u[dD][c-fC-F]..|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}')
_VALUE_START = ("<", '"', "'", "[", "{", *"0123456789-")


class Reader:
    """
    Attributes:
        repairs: what was repaired, in words.
        stray: pictures that belong to no object.
        cut: whether the text ended before the slide did.
    """

    def __init__(self, content: Sequence[Text | Image[PIL.Image.Image]]) -> None:
        self.repairs: list[str] = []
        self.stray: list[PIL.Image.Image] = []
        self.cut = False
        self._pictures = iter([part.image for part in content if isinstance(part, Image)])
        parts = (part.text.replace(PICTURE, "") if isinstance(part, Text) else PICTURE for part in content)
        self._text = "".join(parts)
        self._last_end = max(self._text.rfind(sign) for sign in f",}}]{PICTURE}")  # of a value
        self._closing = len(self._text.rstrip("}] \n\t"))  # from here on there is nothing but closing brackets
        self._at = self._depth = self._unclosed = 0

    def read(self) -> dict[str, Any]:
        """The first object of the text.

        Raises:
            SeedxError: there is none, or it can't be understood; the message shows where.
        """
        start = self._text.find("{")
        if start < 0:
            raise SeedxError(f"this is no slide: expected JSON that starts with {{, not {self._text.strip()[:60]!r}")
        self._pass_over(start, "before")
        values = self._object()
        self._pass_over(len(self._text), "after")
        if self._unclosed:
            self.cut = True
            self.repairs.append(f"closed {self._unclosed} bracket{'s' * (self._unclosed > 1)} at the end")
        return values

    def _pass_over(self, end: int, where: str) -> None:
        rest = self._text[self._at : end]
        self._at = end
        self.stray += [next(self._pictures) for _ in range(rest.count(PICTURE))]
        if words := rest.replace(PICTURE, "").strip():
            self.repairs.append(f"left out {words[:30]!r} {where} the slide")

    def _object(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        self._enter()
        while (here := self._next()) != "}":
            if here in ("", "]", "{"):
                self._missing("}", here)
                break
            if here == PICTURE:
                self.repairs.append("moved a picture from within its element")
                self._attach(values)
            elif here == ",":
                self._comma()
            else:
                self._separated(bool(values))
                key = self._key()
                self._colon()
                values[key] = self._value()
        else:
            self._at += 1
        self._depth -= 1
        if self._next() == PICTURE:
            self._attach(values)
        return values

    def _array(self) -> list[Any]:
        items: list[Any] = []
        self._enter()
        while (here := self._next()) != "]":
            if here == "}" and self._one_too_many():
                self.repairs.append("left out a } too many")
                self._at += 1
            elif here in ("", "}"):
                self._missing("]", here)
                break
            elif here == PICTURE:
                self.stray.append(self._picture())
            elif here == ",":
                self._comma()
            else:
                self._separated(bool(items))
                items.append(self._value())
        else:
            self._at += 1
        self._depth -= 1
        return items

    def _value(self) -> Any:
        """None where the text ends first."""
        here = self._next()
        if here == "{":
            return self._object()
        if here == "[":
            return self._array()
        if here in ('"', "'"):
            return self._string(here)
        if here == PICTURE:
            return self._picture()
        match = _ATOM.match(self._text, self._at)
        if match and match[0][0] == "<":
            self._at = match.end()
            return match[0]
        if self._at > self._last_end:  # cut off before its end, or right after it
            self._at = len(self._text)
            return None
        if not match:
            raise self._refused("a value: a text in quotes, a number or a loc token")
        self._at = match.end()
        if match[0] in CONSTANTS:
            return CONSTANTS[match[0]]
        # Not by json: the number may begin with zeros.
        return int(match[0]) if match[1] is None and len(match[0]) <= LONGEST_NUMBER else float(match[0])

    def _string(self, quote: str) -> str:
        """A quote that what follows can't come after is part of the text."""
        if quote == "'":
            self.repairs.append("read '...' as quotes")
        pieces: list[str] = []
        self._at += 1
        while (here := self._text[self._at : self._at + 1]) not in ("", PICTURE):
            self._at += 1
            if here == quote:
                if _STRING_END.match(self._text, self._at):
                    return "".join(pieces)
                self.repairs.append(f"kept a {quote} within a text")
            pieces.append(self._escaped() if here == "\\" else here)
        self._missing(quote, here)
        return "".join(pieces)

    def _escaped(self) -> str:
        if match := _ESCAPE.match(self._text, self._at):
            self._at = match.end()
            character: str = json.loads(f'"\\{match[0]}"')
            return character
        self.repairs.append("kept a \\ that escapes nothing")
        return "\\"

    def _key(self) -> str:
        here = self._next()
        if here in ('"', "'"):
            return self._string(here)
        if not (match := _BARE.match(self._text, self._at)):
            raise self._refused("the name of a field in quotes")
        self.repairs.append(f"put quotes around {match[0]}")
        self._at = match.end()
        return match[0]

    def _colon(self) -> None:
        here = self._next()
        if here in _VALUE_START:
            self.repairs.append("put in a missing colon")
        elif here in ("", ":"):
            self._at += len(here)
        else:
            raise self._refused("a colon after the name of a field")

    def _comma(self) -> None:
        self._at += 1
        if self._next() in ("]", "}", ","):
            self.repairs.append("left out a comma too many")

    def _separated(self, after_another: bool) -> None:
        """Note a comma that is not there."""
        before = self._at - 1
        while self._text[before] in f" \n\t\r{PICTURE}":
            before -= 1
        if after_another and self._text[before] != ",":
            self.repairs.append("put in a missing comma")

    def _one_too_many(self) -> bool:
        """Whether a } in a list is to be left out. It is not if it closes the object around the list, whose ] was
        left out: a text, whose paragraphs these are, or the slide at the end."""
        return self._depth == 2 and self._at < self._closing

    def _attach(self, values: dict[str, Any]) -> None:
        """The next picture becomes the image of these values, which may hold the name of a file there."""
        picture = self._picture()
        if isinstance(values.get("image"), PIL.Image.Image):
            self.stray.append(picture)
        else:
            values["image"] = picture

    def _picture(self) -> PIL.Image.Image:
        self._at += 1
        return next(self._pictures)

    def _missing(self, sign: str, here: str) -> None:
        if here:
            self.repairs.append(f"put in a missing {sign} before {'a picture' if here == PICTURE else here}")
        else:
            self._unclosed += 1

    def _enter(self) -> None:
        self._at += 1
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._refused(f"at most {DEEPEST} brackets within each other")

    def _next(self) -> str:
        """The next character that is no space; nothing at the end."""
        match = _SPACE.match(self._text, self._at)
        assert match
        self._at = match.end()
        return self._text[self._at : self._at + 1]

    def _refused(self, expected: str) -> SeedxError:
        before, after = self._text[max(0, self._at - 30) : self._at], self._text[self._at : self._at + 30]
        return SeedxError(
            f"this slide can't be read: expected {expected} after {before.replace(PICTURE, '<picture>')!r}, "
            f"not {after.replace(PICTURE, '<picture>')!r} (character {self._at})"
        )
