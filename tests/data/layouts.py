"""Records as data sets write them: `fixtures/NAME.json`, with the pictures that they name."""

import json
import random
from pathlib import Path

import PIL.Image

from seedx.data.record import Record
from seedx.data.sources import open_source
from seedx.messages import Box, Image, Text

FIXTURES = Path(__file__).parent / "fixtures"
TABLES = ("vist_sis", "coco_instances", "coco_captions")  # fixtures of whole files
PICTURE_ENDINGS = (".jpg", ".png")


def layout(name):
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


def joined(name):
    """The fields of the records that a source joins, of a fixture that has tables."""
    return [item.fields for unit in open_source(str(FIXTURES / f"{name}.json")) for _, item in unit.read()]


def record(name, folder, **changes):
    """A fixture with some of its fields changed (None: without it), as a line of JSONL in `folder`."""
    fields = {key: value for key, value in (layout(name) | changes).items() if value is not None}
    make_pictures(fields, folder)
    return Record(f"{name}.jsonl:1", fields, str(folder))


def make_pictures(value, folder, size=(40, 80)):
    """A file for every path of a picture anywhere in the fields."""
    if isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            make_pictures(inner, folder, size)
    elif isinstance(value, str) and value.endswith(PICTURE_ENDINGS) and not value.startswith("http"):
        path = Path(folder, value)
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", size).save(path)


def shown(messages):
    """Messages in short: pictures as the names of their files, boxes as label and rounded corners."""
    return [(message.role, *map(_shown, message.content)) for message in messages]


def _shown(part):
    match part:
        case Text(text):
            return text
        case Image(bytes(content)):
            return content
        case Image(path):
            return "@" + Path(path).name
        case Box(box, label):
            return (label, *(round(value, 2) for value in box))


def rng(seed=0):
    return random.Random(seed)
