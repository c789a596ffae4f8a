"""Captions, in both directions."""

import pytest
from layouts import layout, make_pictures, record, rng, shown

from seedx.data import formats
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError


def made(format, fixture, folder, **options):
    return shown(formats.get(format, **options)(record(fixture, folder, jpg="a.jpg"), rng()))


@pytest.mark.parametrize(
    ("format", "fixture", "caption"),
    [
        ("image_text", "laion_aesthetics", "Sunset over the bay, oil on canvas"),
        ("laion_coco", "laion_coco", "a red car parked on a street"),
        ("capsfusion", "capsfusion", "An oak table from IKEA stands in a bright room."),
        ("unsplash", "unsplash", "Woman exploring a forest"),
    ],
)
def test_both_directions_as_documents(format, fixture, caption, tmp_path):
    read, drawn = (made(format, fixture, tmp_path, draw=draw) for draw in (0.0, 1.0))
    assert read == [("system", "@a.jpg"), ("assistant", caption)]
    assert drawn == [("system", caption), ("assistant", "@a.jpg")]


def test_both_directions_as_requests(tmp_path):
    read, drawn = (made("laion_coco", "laion_coco", tmp_path, draw=draw, instruct=True) for draw in (0.0, 1.0))
    assert read[0][0] == "user" and read[0][1] == "@a.jpg" and read[0][2]
    assert read[1] == ("assistant", "a red car parked on a street")
    assert drawn[0][0] == "user" and "a red car parked on a street" in drawn[0][1]
    assert drawn[1][0] == "assistant" and drawn[1][2] == "@a.jpg"


def test_the_ratio_of_the_directions(tmp_path):
    format, one = formats.get("laion_coco", draw=0.3), record("laion_coco", tmp_path, jpg="a.jpg")
    answers = [shown(format(one, rng(seed)))[1][1] for seed in range(200)]
    assert 0.2 < answers.count("@a.jpg") / 200 < 0.4


def test_journeydb_draws_the_prompt_and_reads_the_caption(tmp_path):
    make_pictures(layout("journeydb"), tmp_path / "imgs")
    one = Record("train.jsonl:1", layout("journeydb"), str(tmp_path))
    drawn, read = (shown(formats.get("journeydb", draw=draw, images="imgs")(one, rng())) for draw in (1.0, 0.0))
    assert drawn == [("system", "a fox in the snow, watercolour --ar 3:2"), ("assistant", "@0a1b.jpg")]
    assert read == [("system", "@0a1b.jpg"), ("assistant", "A watercolour of a fox that sits in the snow.")]


def test_unsplash_falls_back_on_the_service(tmp_path):
    one = record("unsplash", tmp_path, jpg="a.jpg", photo_description="")
    assert shown(formats.get("unsplash", draw=0.0)(one, rng()))[1][1] == "woman walking in the middle of forest"


def test_other_names_for_caption_and_prompt(tmp_path):
    one = record("laion_coco", tmp_path, jpg="a.jpg")
    read, drawn = (
        shown(formats.get("image_text", draw=draw, caption="all_captions.0", prompt="top_caption")(one, rng()))
        if draw
        else shown(formats.get("image_text", draw=draw, caption="TEXT")(one, rng()))
        for draw in (0.0, 1.0)
    )
    assert read[1] == ("assistant", "DSC_0042.JPG for sale!!")
    assert drawn[0] == ("system", "a red car parked on a street")


@pytest.mark.parametrize("caption", [7, "  ", ["a"]])
def test_a_caption_is_words(caption, tmp_path):
    one = record("laion_coco", tmp_path, jpg="a.jpg", top_caption=caption)
    with pytest.raises(SampleError, match="a text that is not empty"):
        formats.get("laion_coco")(one, rng())
