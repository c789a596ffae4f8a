"""One JSON array of objects in a file, as LLaVA and LLaMA-Factory publish their conversations: read piece by piece.

    [{"id": ..., "image": ..., "conversations": [...]}, ...]      the records
    {"7": [...], "8": [...]}                                      an object of lists: MagicBrush's edit_sessions.json

Nothing but the record that is read is in memory, however large the file. A position is the byte offset of the next
record, so resuming costs a seek. Such a file can't be split, since nothing tells a record's start from within it.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from seedx.data import storage
from seedx.data.record import MAX_JSON, Record
from seedx.data.sample_errors import SampleError

WINDOW = 1 << 18  # bytes read at once
END = -1  # the position after which nothing follows
_END = object()

_BETWEEN = re.compile(r"[\s,]*")
_SPACE = re.compile(r"\s*")
_DECODER = json.JSONDecoder()


class _Broken(Exception):
    """The text is no array of records from here on: cause and detail of the sample error."""


@dataclass(frozen=True)
class JsonArray:
    """The records of one file; a position is the offset of the next one, and its number."""

    name: str
    path: str

    def read(self, position: Any = None) -> Iterator[tuple[Any, Record | SampleError]]:
        """Every record, with the position after it. A file that breaks off ends with one sample error."""
        offset, number = position or (0, 0)
        if offset == END:
            return
        folder = storage.folder(self.path)
        with storage.open_file(self.path) as file:
            file.seek(offset)
            text = _Text(file, offset)
            try:
                if not offset and text.next_character() not in ("[", "{"):
                    raise _Broken("broken json", "the file holds no JSON array of records")
                while (item := text.item()) is not _END:
                    number += 1
                    yield [text.offset, number], _record(item, f"{self.path}:{number}", folder)
            except _Broken as broken:
                cause, detail = broken.args
                yield [END, number], SampleError(cause, f"{self.path}:{number + 1}", detail)


def whole(path: str, parts: int) -> list[JsonArray]:
    """The file as one unit."""
    return [JsonArray(path, path)]


def _record(item: Any, where: str, folder: str) -> Record | SampleError:
    if isinstance(item, tuple):
        key, value = item
        item = value if isinstance(value, dict) else {"img_id": key, "turns": value}
    if not isinstance(item, dict):
        return SampleError("broken json", where, f"an object is expected, not {type(item).__name__}")
    return Record(where, item, folder)


class _Text:
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
        """The next value, or (key, value) in an object; `_END` at the end of the array.

        Raises:
            _Broken: there is none, or one that is too large.
        """
        self._skip(_BETWEEN)
        here = self.text[self.at : self.at + 1]
        if here in ("]", "}"):
            return _END
        value = self._value()
        self._skip(_SPACE)
        if isinstance(value, str) and self.text[self.at : self.at + 1] == ":":
            self._use(self.at + 1)
            self._skip(_SPACE)
            return value, self._value()
        return value

    def _value(self) -> Any:
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.at)
                if end < len(self.text) or self.ended:  # a number at the very end may go on
                    self._use(end)
                    return value
            except RecursionError as error:
                raise _Broken("broken json", "brackets within brackets, too deep") from error
            except ValueError as error:
                if self.ended:
                    raise _Broken("broken json", f"the array breaks off or is none: {error}") from error
            if len(self.text) - self.at > MAX_JSON:
                raise _Broken(
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
