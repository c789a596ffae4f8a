"""One JSON array of objects in a file, as LLaVA and LLaMA-Factory publish their conversations: read piece by piece.

    [{"id": ..., "image": ..., "conversations": [...]}, ...]      the records
    {"7": [...], "8": [...]}                                      an object of lists: MagicBrush's edit_sessions.json
    {"info": ..., "images": [...], "annotations": [...]}          tables, as COCO's and VIST's: see json_tables

Nothing but the record that is read is in memory, however large the file. A position is the byte offset of the next
record, so resuming costs a seek; of tables it is the number of the next one. Such a file can't be split, since nothing
tells a record's start from within it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from seedx.data import json_tables, storage
from seedx.data.json_text import END_OF_VALUES, BrokenJson, JsonText
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError

END = -1  # the position after which nothing follows


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
            text = JsonText(file, offset)
            try:
                start = "" if offset else text.next_character()
                if not offset and start not in ("[", "{"):
                    raise BrokenJson("broken json", "the file holds no JSON array of records")
                if start == "{" and text.peek_key() in json_tables.TABLES:
                    for found in json_tables.read(self.path, number):
                        number += 1
                        yield [0, number], found
                    return
                while (item := text.item()) is not END_OF_VALUES:
                    number += 1
                    yield [text.offset, number], _record(item, f"{self.path}:{number}", folder)
            except BrokenJson as broken:
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
