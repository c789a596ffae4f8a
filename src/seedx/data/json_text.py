"""The text of a JSON file, read piece by piece: whatever its size, one window and one value of it are in memory."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from seedx.data.record import MAX_JSON

WINDOW = 1 << 18  # bytes read at once
LONGEST_KEY = 64  # characters of a key that `peek_key` finds
END_OF_VALUES = object()

_BETWEEN = re.compile(r"[\s,]*")
_SPACE = re.compile(r"\s*")
_KEY = re.compile(r'"(\w*)"')
_DECODER = json.JSONDecoder()


class BrokenJson(Exception):
    """The text is not what it should be from here on: cause and detail of the sample error."""


class JsonText:
    """The text of a file from an offset on, of which one window is in memory, and the values in it.

    Attributes:
        offset: of the next byte that no value has used.
    """

    def __init__(self, file: BinaryIO, offset: int) -> None:
        self.file, self.offset = file, offset
        # Bytes that are no UTF-8 keep their number: offsets are counted in the text.
        self.decoder = codecs.getincrementaldecoder("utf-8-sig" if not offset else "utf-8")("surrogateescape")
        self.text, self.at, self.ended = "", 0, False
        if not offset and self._peek(3) == codecs.BOM_UTF8:
            self.offset = 3

    def next_character(self) -> str:
        """The next character that is no space, which is used up; empty at the end."""
        self._skip(_SPACE)
        found = self.text[self.at : self.at + 1]
        self._use(self.at + len(found))
        return found

    def item(self) -> Any:
        """The next value, or (key, value) in an object; `END_OF_VALUES` at the end of the array.

        Raises:
            BrokenJson: there is none, or one that is too large.
        """
        self._skip(_BETWEEN)
        here = self.text[self.at : self.at + 1]
        if here in ("]", "}"):
            return END_OF_VALUES
        value = self._value()
        self._skip(_SPACE)
        if isinstance(value, str) and self.text[self.at : self.at + 1] == ":":
            self._use(self.at + 1)
            self._skip(_SPACE)
            return value, self._value()
        return value

    def key(self) -> str | None:
        """The next key of an object, which is used up with its colon; None at the end.

        Raises:
            BrokenJson: there is none.
        """
        self._skip(_BETWEEN)
        if self.text[self.at : self.at + 1] == "}":
            return None
        found = self._value()
        if not isinstance(found, str) or self.next_character() != ":":
            raise BrokenJson("broken json", "an object has keys, each with a colon behind it")
        return found

    def peek_key(self) -> str:
        """The text that is next and short, as the key of an object is; it is not used up. Empty if there is none."""
        self._skip(_SPACE)
        while len(self.text) - self.at < LONGEST_KEY and not self.ended:
            self._more()
        found = _KEY.match(self.text, self.at)
        return found[1] if found else ""

    def value(self) -> Any:
        """The next value. Raises as `item`."""
        self._skip(_SPACE)
        return self._value()

    def enter(self, bracket: str) -> bool:
        """Whether that bracket is next, which is then used up."""
        self._skip(_SPACE)
        here = self.text[self.at : self.at + 1] == bracket
        self._use(self.at + here)
        return here

    def rows(self) -> Iterator[tuple[int, int, Any]]:
        """The values of an array that was entered, each with the bytes where it starts and ends. Raises as `item`."""
        while True:
            self._skip(_BETWEEN)
            if self.text[self.at : self.at + 1] == "]":
                self._use(self.at + 1)
                return
            start = self.offset
            value = self._value()
            yield start, self.offset, value

    def _value(self) -> Any:
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.at)
                if end < len(self.text) or self.ended:  # a number at the very end may go on
                    self._use(end)
                    return value
            except RecursionError as error:
                raise BrokenJson("broken json", "brackets within brackets, too deep") from error
            except ValueError as error:
                if self.ended:
                    raise BrokenJson("broken json", f"the array breaks off or is none: {error}") from error
            if len(self.text) - self.at > MAX_JSON:
                raise BrokenJson(
                    "too large", f"a record has at most {MAX_JSON >> 20} MiB of JSON: nothing behind it is read"
                )
            self._more()

    def _skip(self, pattern: re.Pattern[str]) -> None:
        while True:
            match = pattern.match(self.text, self.at)
            assert match
            self._use(match.end())
            if self.at < len(self.text) or self.ended:
                return
            self._more()

    def _use(self, end: int) -> None:
        self.offset += len(self.text[self.at : end].encode("utf-8", "surrogateescape"))
        self.at = end

    def _more(self) -> None:
        """Read on; twice as much each time that it was not enough for one value, so that the work stays linear."""
        self.text, self.at = self.text[self.at :], 0
        content = self.file.read(max(WINDOW, len(self.text)))
        self.ended = not content
        self.text += self.decoder.decode(content, final=self.ended)

    def _peek(self, count: int) -> bytes:
        found = self.file.read(count)
        self.file.seek(0)
        return found
