"""Edits, once and several times; clothes to try on."""

import pytest
from layouts import record, rng, shown

from seedx.data import formats
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError


def edit(fixture, folder, changes=None, polite=0.0, **options):
    format = formats.get("edit", polite=polite, **options)
    return shown(format(record(fixture, folder, **(changes or {})), rng()))


PAIRS = [
    ("source_image", "instruction", "target_image"),
    ("original_image", "edit_prompt", "edited_image"),
    ("source_img", "instruction", "target_img"),
]


@pytest.mark.parametrize("names", PAIRS)
def test_pairs(names, tmp_path):
    source, words, target = names
    one = Record("a.parquet:1", {source: b"before", words: " Remove the tree. ", target: {"bytes": b"after"}})
    made = shown(formats.get("edit", polite=0.0)(one, rng()))
    assert made == [("user", b"before", "Remove the tree."), ("assistant", b"after")]


def test_pairs_in_a_tar():
    fields = {"source_image.jpg": b"before", "target_image.png": b"after", "json": {"instruction": "Make it red."}}
    made = shown(formats.get("edit", polite=1.0)(Record("a.tar/0001", fields), rng()))
    assert made[0] == ("user", b"before", "Make it red.") and made[1][2] == b"after" and made[1][1]


def test_polite_answers(tmp_path):
    format, one = formats.get("edit", polite=0.5), record("seed_data_edit", tmp_path)
    assert {len(shown(format(one, rng(seed)))[1]) for seed in range(20)} == {2, 3}


def test_a_session(tmp_path):
    assert edit("seed_data_edit_multi_turn", tmp_path) == [
        ("user", "@src.jpg", "Remove the boat."),
        ("assistant", "@e1.jpg"),
        ("user", "Make the sky red."),
        ("assistant", "@e2.jpg"),
    ]


def test_a_session_backwards(tmp_path):
    assert edit("seed_data_edit_multi_turn", tmp_path, inverse=1.0) == [
        ("user", "@e2.jpg", "Make the sky blue again."),
        ("assistant", "@e1.jpg"),
        ("user", "Put a boat on the lake."),
        ("assistant", "@src.jpg"),
    ]
    assert len(edit("seed_data_edit", tmp_path, inverse=1.0)) == 2  # a pair has no way back


def test_one_turn_of_a_session(tmp_path):
    format, one = formats.get("edit", polite=0.0, turns="one"), record("seed_data_edit_multi_turn", tmp_path)
    assert {tuple(shown(format(one, rng(seed)))) for seed in range(20)} == {
        (("user", "@src.jpg", "Remove the boat."), ("assistant", "@e1.jpg")),
        (("user", "@e1.jpg", "Make the sky red."), ("assistant", "@e2.jpg")),
    }


def test_a_session_of_magicbrush(tmp_path):
    assert edit("magicbrush_session", tmp_path) == [
        ("user", "@139-input.png", "Put a cat on the seat."),
        ("assistant", "@139-output1.png"),
        ("user", "Have there be a hat on the cat."),
        ("assistant", "@139-output2.png"),
    ]


@pytest.mark.parametrize(
    ("fixture", "changes"),
    [
        ("seed_data_edit", {"instruction": None}),
        ("seed_data_edit", {"instruction": "  "}),
        ("seed_data_edit", {"target_image": None}),
        ("seed_data_edit", {"target_image": 5}),
        ("seed_data_edit_multi_turn", {"edit_image_2": None}),
        ("seed_data_edit_multi_turn", {"source_image": None}),
        ("magicbrush_session", {"turns": [{"input": "a.jpg"}]}),
        ("magicbrush_session", {"turns": [{"output": "a.jpg", "instruction": "x"}]}),
        ("magicbrush_session", {"turns": "abc"}),
    ],
)
def test_malformed_edits(fixture, changes, tmp_path):
    with pytest.raises(SampleError, match="bad format"):
        edit(fixture, tmp_path, changes)


def test_small_or_narrow_pictures_are_filtered(tmp_path):
    for options in ({"min_side": 400}, {"min_aspect_ratio": 0.99}):
        with pytest.raises(SampleError, match="filtered"):
            edit("seed_data_edit", tmp_path, **options)


VITON = {"image.jpg": b"dressed", "cloth.jpg": b"shirt", "agnostic-v3.2.jpg": b"person"}


def test_try_on():
    made = shown(formats.get("try_on")(Record("a.tar/00001_00", VITON), rng()))
    assert made[0][:3] == ("user", b"person", b"shirt") and made[0][3] and made[1] == ("assistant", b"dressed")
    asked = VITON | {"json": {"instruction": "Wear this."}}
    assert shown(formats.get("try_on")(Record("a.tar/00001_00", asked), rng()))[0][3] == "Wear this."


@pytest.mark.parametrize("missing", VITON)
def test_try_on_needs_all_three(missing):
    with pytest.raises(SampleError, match="bad format"):
        formats.get("try_on")(Record("a.tar/00001_00", {k: v for k, v in VITON.items() if k != missing}), rng())
