"""Records that are wrong anywhere: a format makes messages of them or a error, and nothing else ever stops a run."""

import copy

import pytest
from layouts import rng
from test_formats import READ_BY, sample

from seedx.data import formats
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError
from seedx.messages import Box, Image, Text

JUNK = (None, 3, -1.5, True, "x", "", b"x", [], {}, [None], [3], {"x": None}, ["x", "y"], float("nan"))
OPTIONS = {
    "grit": ({"draw": 1.0}, {"spans": "noun_chunks"}),
    "referring": ({"locate": 1.0}, {"locate": 0.0}),
    "edit": ({"inverse": 1.0}, {"turns": "one"}),
    "slides": ({"draw": 0.0}, {"draw": 1.0}),
    "story": ({"draw": 0.0}, {"given": 0}),
    "llava": ({"boxes": "shikra"}, {"boxes": "kosmos"}),
}


def places(value, path=()):
    """The path of every value within nested lists and tables."""
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, key)
            yield from places(inner, (*path, key))


def changed(fields, path, junk):
    fields = copy.deepcopy(fields)
    inner = fields
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = copy.deepcopy(junk)
    return fields


def is_right(part):
    match part:
        case Text(text):
            return isinstance(text, str)
        case Image(image):
            return isinstance(image, (bytes, str))
        case Box(box, label):
            return all(isinstance(value, float) for value in box) and isinstance(label, str)


@pytest.mark.parametrize("name", READ_BY)
def test_junk_in_any_field(name, tmp_path):
    chosen, basic = READ_BY[name]
    good = sample(name, tmp_path)
    bad = [Record("a:1", changed(good.fields, p, junk), good.folder) for p in places(good.fields) for junk in JUNK]
    for options in OPTIONS.get(chosen, ({},)):
        format = formats.get(chosen, **basic, **options)
        for one in bad:
            try:
                made = format(one, rng())
            except SampleError as error:
                assert error.where == "a:1"
                continue
            assert made and all(is_right(part) for message in made for part in message.content), one.fields
