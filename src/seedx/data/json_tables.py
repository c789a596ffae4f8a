"""One JSON object of tables in a file, as COCO and VIST publish their annotations: joined to one record for each image.

    {"info": ..., "images": [{"id": 9, "file_name": ..., "width": ..., "height": ...}, ...],
     "annotations": [{"image_id": 9, "category_id": 18, "bbox": [...]}, ...], "categories": [{"id": 18, "name": "dog"}]}
        -> {"id": 9, "file_name": ..., "annotations": [those of the image], "categories": {18: "dog"}}

    VIST: annotations [[{"story_id": "45530", "album_id": ..., ...}], ...], albums [{"id": ..., "title": ...}]
        -> {"story_id": "45530", "title": ..., "annotations": [the story's]}

The annotations of an image lie anywhere in the file, so it is read once to note where they are: 16 bytes each, while
the annotations themselves are read again when their image is. An image without annotations is a record too.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from array import array
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from seedx.data import storage
from seedx.data.json_text import BrokenJson, JsonText
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError

# Of the first key in the file. Another object is one of lists, whose keys are the records' own.
TABLES = ("info", "licenses", "images", "annotations", "categories", "albums", "type")
INDEXES = 4  # of files, that are kept

_Key = Hashable  # an id: a number or a text


@dataclass(frozen=True)
class _Index:
    """Where things are.

    Attributes:
        images: by the image's id, the first byte and the one after the last.
        annotations: by the id of an image, or of a story: two such numbers for each annotation, one after the other.
        stories: the annotations are those of stories, not of images.
        titles: of albums, by id.
    """

    images: dict[_Key, tuple[int, int]] = field(default_factory=dict)
    annotations: dict[_Key, array[int]] = field(default_factory=dict)
    categories: dict[_Key, str] = field(default_factory=dict)
    titles: dict[_Key, str] = field(default_factory=dict)
    stories: bool = False


def read(path: str, start: int) -> Iterator[Record | SampleError]:
    """The records from number `start` on; first those of images, then an error for each id that no image has.

    Raises:
        BrokenJson: the file breaks off, or holds something else.
    """
    index = _index(path, storage.size(path))
    keys = list(index.annotations if index.stories else index.images)
    with storage.open_file(path) as file:
        for key in keys[start:]:
            yield _record(file, key, index, path)
    strays = [] if index.stories else [key for key in index.annotations if key not in index.images]
    for key in strays[max(0, start - len(keys)) :]:
        detail = f"annotations of the image {key!r}, which is not in the file's images: leave them out"
        yield SampleError("bad format", f"{path}#{key}", detail)


def _record(file: BinaryIO, key: _Key, index: _Index, path: str) -> Record | SampleError:
    ends = index.annotations.get(key, array("q"))
    where, folder = f"{path}#{key}", storage.folder(path)
    try:
        found = [_unwrapped(_value(file, a, b)) for a, b in zip(ends[::2], ends[1::2], strict=True)]
        if index.stories:
            title = index.titles.get(found[0].get("album_id"), "")
            return Record(where, {"story_id": key, "title": title, "annotations": found}, folder)
        image = _value(file, *index.images[key])
    except ValueError as error:  # the file has changed meanwhile
        return SampleError("broken json", where, str(error))
    return Record(where, image | {"annotations": found, "categories": index.categories}, folder)


def _value(file: BinaryIO, start: int, end: int) -> Any:
    file.seek(start)
    return json.loads(file.read(end - start))


def _unwrapped(annotation: Any) -> Any:
    """VIST has each annotation in a list of its own."""
    return annotation[0] if isinstance(annotation, list) and len(annotation) == 1 else annotation


@functools.lru_cache(INDEXES)
def _index(path: str, size: int) -> _Index:
    """One pass over the file. Size: of the file, which tells one that was replaced."""
    index, stories = _Index(), False
    with storage.open_file(path) as file:
        text = JsonText(file, 0)
        text.next_character()
        while (table := text.key()) is not None:
            if table not in ("images", "annotations", "categories", "albums") or not text.enter("["):
                text.value()
                continue
            for start, end, row in text.rows():
                row = _unwrapped(row)
                if not isinstance(row, dict):
                    raise BrokenJson("broken json", f"{table} holds {type(row).__name__} where an object is expected")
                if table == "images":
                    index.images[_id(row, "id")] = start, end
                elif table == "annotations":
                    stories = stories or "story_id" in row
                    of = _id(row, "story_id" if "story_id" in row else "image_id")
                    index.annotations.setdefault(of, array("q")).extend((start, end))
                elif table == "categories":
                    index.categories[_id(row, "id")] = str(row.get("name", ""))
                else:
                    index.titles[_id(row, "id")] = str(row.get("title") or "")
    if not index.annotations and not index.images:
        raise BrokenJson("broken json", "an object is expected to have images and annotations, as COCO's has")
    return dataclasses.replace(index, stories=stories)


def _id(row: dict[str, Any], name: str) -> _Key:
    found = row.get(name)
    if not isinstance(found, (int, str)):
        raise BrokenJson("broken json", f"expected {name!r}, a number or a text, among {', '.join(row)[:200]}")
    return found
