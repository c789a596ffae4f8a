"""Stories and slides."""

import json
import re

import pytest
from layouts import joined, make_pictures, record, rng, shown

from seedx.data import formats
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError


@pytest.fixture
def vist(tmp_path):
    """The first story of the fixture."""
    story = joined("vist_sis")[0]
    make_pictures([f"{entry['photo_flickr_id']}.jpg" for entry in story["annotations"]], tmp_path)
    return Record("sis.jsonl:1", story, str(tmp_path))


def test_vist_is_split_into_stories():
    first, second = joined("vist_sis")
    assert first["title"] == "A day at the lake" and len(first["annotations"]) == 3 and second["story_id"] == "45531"


def test_a_story_is_continued(vist):
    assert shown(formats.get("story")(vist, rng())) == [
        ("user", "Go on with this story in 2 parts. A day at the lake", "We came to the lake.", "@1741642.jpg"),
        ("assistant", "Then we swam.", "@1741640.jpg", "It was dark at last.", "@1741637.jpg"),
    ]


def test_a_story_by_its_title(vist):
    asked, told = shown(formats.get("story", given=0)(vist, rng()))
    assert asked == ("user", "Tell a story in 3 parts. A day at the lake") and len(told) == 7


def test_a_story_is_read(vist):
    assert shown(formats.get("story", draw=0.0)(vist, rng())) == [
        ("user", "@1741642.jpg", "@1741640.jpg", "@1741637.jpg", "Tell the story of these pictures."),
        ("assistant", "We came to the lake. Then we swam. It was dark at last."),
    ]


def test_a_story_in_lists(tmp_path):
    make_pictures(["a.jpg", "b.jpg"], tmp_path)
    one = Record("a.jsonl:1", {"captions": ["One.", "Two."], "images": ["a.jpg", "b.jpg"]}, str(tmp_path))
    assert shown(formats.get("story")(one, rng()))[1] == ("assistant", "Two.", "@b.jpg")
    for given in (0, 2):  # nothing to begin with, nothing left to tell
        with pytest.raises(SampleError, match="can't begin"):
            formats.get("story", given=given)(one, rng())


@pytest.mark.parametrize(
    "fields",
    [
        {"captions": ["One."], "images": ["a.jpg", "b.jpg"]},
        {"captions": ["One.", ""], "images": ["a.jpg", "b.jpg"]},
        {"annotations": [[{"text": "One."}]]},
        {"annotations": [3]},
    ],
)
def test_malformed_stories(fields, tmp_path):
    with pytest.raises(SampleError, match="bad format"):
        formats.get("story")(Record("a.jsonl:1", fields, str(tmp_path)), rng())


def written(message):
    """The texts of a message, loc tokens as their numbers, read as JSON."""
    text = "".join(part for part in message[1:] if not part.startswith("@"))
    return json.loads(re.sub(r"<loc-(\d+)>", r"\1", text))


def test_a_slide_is_designed(tmp_path):
    asked, answer = shown(formats.get("slides")(record("slide", tmp_path), rng()))
    assert asked == ("user", "A slide about perseverance")
    assert answer[2] == "@hill.png" and answer[1].endswith("}") and answer[3].startswith(', {"type": "text"')
    assert written(answer) == {
        "slide_width": 9144000,
        "slide_height": 6858000,
        "elements": [
            {"type": "image", "x": 112, "y": 0, "width": 112, "height": 223},
            {
                "type": "text",
                "x": 8,
                "y": 16,
                "width": 100,
                "height": 40,
                "paragraphs": [{"texts": "Keep going", "font_size": 44}],
            },
        ],
    }


def test_a_slide_is_read(tmp_path):
    asked, answer = shown(formats.get("slides", draw=0.0)(record("slide", tmp_path), rng()))
    assert asked[:2] == ("user", "@3.png") and len(answer) == 2 and len(written(answer)["elements"]) == 2


def test_a_slide_as_a_document(tmp_path):
    one = record("slide", tmp_path)
    assert shown(formats.get("slides", instruct=False)(one, rng()))[0] == ("system", "A slide about perseverance")
    assert shown(formats.get("slides", instruct=False, draw=0.0)(one, rng()))[0] == ("system", "@3.png")


PLACE = {"x": 0, "y": 0, "width": 1, "height": 1}


@pytest.mark.parametrize(
    "slide",
    [
        {},
        {"elements": []},
        {"elements": [{"type": "image"} | PLACE], "slide_width": "wide"},
        {"elements": [{"type": "table"} | PLACE]},
        {"elements": ["text"]},
        {"elements": [{"type": "text"} | PLACE]},
        {"elements": [{"type": "text", "paragraphs": [{"texts": 3}]} | PLACE]},
        {"elements": [{"type": "text", "paragraphs": [], "x": "left"}]},
        {"elements": [{"type": "text", "paragraphs": [], "x": "<loc-224>"}]},
        {"elements": [{"type": "image", "image": 3} | PLACE]},
    ],
)
def test_malformed_slides(slide, tmp_path):
    slide = {"slide_width": 100, "slide_height": 100} | slide
    with pytest.raises(SampleError, match="bad format"):
        formats.get("slides")(record("slide", tmp_path, slide=slide), rng())
