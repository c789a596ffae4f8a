"""Boxes in every notation, grounded captions, referring expressions, referential dialogue."""

import numpy as np
import PIL.Image
import pytest
from layouts import layout, record, rng, shown

from seedx.data import formats
from seedx.data.formats.boxes import Frame, cells, fractions, parse, turned
from seedx.data.formats.fields import Fields
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError
from seedx.images import ORIENTATION, TRANSPOSES, open_image
from seedx.messages import Box, Text

NOWHERE = Fields(Record("a.jsonl:1", {}))


WRONG_SIZES = [{"height": 0}, {"height": -1}, {"width": float("nan")}, {"width": float("inf")}, {"width": 10**400}]


def test_boxes_of_shikra():
    text = "the man [0.120,0.300,0.450,0.900] and dogs [0.1,0.2,0.3,0.4;0.5,0.6,0.7,1] in [2024]."
    assert parse(text, "shikra", NOWHERE) == [
        Text("the man "),
        Box((0.12, 0.3, 0.45, 0.9)),
        Text(" and dogs "),
        Box((0.1, 0.2, 0.3, 0.4)),
        Box((0.5, 0.6, 0.7, 1.0)),
        Text(" in [2024]."),
    ]


def test_boxes_of_kosmos():
    text = "An image of<phrase> a snowman</phrase><object><patch_index_0044><patch_index_0863></object> by a fire."
    assert parse(text, "kosmos", NOWHERE) == [
        Text("An image of "),
        Box((12 / 32, 1 / 32, 1.0, 27 / 32), "a snowman"),
        Text(" by a fire."),
    ]
    assert cells(0, 1023) == (0, 0, 1, 1)


@pytest.mark.parametrize("cell", ["<patch_index_0001>", "<patch_index_0001><patch_index_9999>", ""])
def test_malformed_boxes_of_kosmos(cell):
    with pytest.raises(SampleError, match="pairs of cells"):
        parse(f"<phrase>a</phrase><object>{cell}</object>", "kosmos", NOWHERE)


def test_boxes_left_as_text():
    assert parse("a [0.1,0.2,0.3,0.4]", "none", NOWHERE) == [Text("a [0.1,0.2,0.3,0.4]")]


def test_boxes_in_pixels_are_clipped_to_the_picture():
    assert fractions([-2, 10, 60, 90], NOWHERE, Frame((50, 100))) == (0, 0.1, 1, 0.9)
    assert fractions([10, 10, 20, 40], NOWHERE, Frame((50, 100)), coco=True) == (0.2, 0.1, 0.6, 0.5)


@pytest.mark.parametrize(
    "box", [None, [1, 2, 3], "abcd", [5, 5, 5, 9], [60, 0, 70, 10], [0, 0, float("nan"), 1], [0, 0, 10**400, 1]]
)
def test_malformed_boxes(box):
    with pytest.raises(SampleError, match="bad format"):
        fractions(box, NOWHERE, Frame((50, 100)))


def grit(folder, changes=None, **options):
    return shown(formats.get("grit", **options)(record("grit", folder, jpg="a.jpg", **(changes or {})), rng()))


def test_grit_keeps_the_longest_of_overlapping_phrases(tmp_path):
    caption = layout("grit")["caption"]
    assert grit(tmp_path) == [("system", "@a.jpg"), ("assistant", (caption, 0.02, 0.03, 0.96, 0.97))]


def test_grit_noun_chunks_and_both_directions(tmp_path):
    words = (
        ("a wire hanger", 0.02, 0.03, 0.96, 0.97),
        " with ",
        ("a paper cover", 0.02, 0.31, 0.96, 0.96),
        " that reads we heart our customers",
    )
    assert grit(tmp_path, spans="noun_chunks") == [("system", "@a.jpg"), ("assistant", *words)]
    assert grit(tmp_path, spans="noun_chunks", draw=1.0) == [("system", *words), ("assistant", "@a.jpg")]


def test_grit_by_confidence(tmp_path):
    made = grit(tmp_path, min_score=0.7)
    assert made[1][1:] == (
        "a wire hanger with ",
        ("a paper cover that reads we heart our customers", 0.02, 0.31, 0.96, 0.96),
    )
    with pytest.raises(SampleError, match="filtered"):
        grit(tmp_path, min_score=0.9)


def test_a_phrase_with_two_boxes(tmp_path):
    spans = [[0, 3, 0.1, 0.1, 0.2, 0.2, 0.9], [0, 3, 0.5, 0.5, 0.6, 0.6, 0.9]]
    made = grit(tmp_path, {"caption": "two cats", "ref_exps": spans})
    assert made[1] == ("assistant", ("two", 0.1, 0.1, 0.2, 0.2), ("", 0.5, 0.5, 0.6, 0.6), " cats")


@pytest.mark.parametrize(
    "span", [[0, 3, 0.1], [0, 99, 0.1, 0.1, 0.2, 0.2, 0.9], ["a"] * 7, [0, 3, 0.2, 0.1, 0.1, 0.2, 1]]
)
def test_malformed_grit(span, tmp_path):
    with pytest.raises(SampleError, match="bad format"):
        grit(tmp_path, {"ref_exps": [span]})


def test_refcoco(tmp_path):
    one = record("refcoco", tmp_path, file_name=None)
    box = (0.16, 0.62, 0.37, 0.99)
    find, name = (shown(formats.get("referring", locate=share)(one, rng())) for share in (1.0, 0.0))
    assert find[0][1] == "@COCO_train2014_000000581857.jpg" and "THE LADY WITH THE BLUE SHIRT" in find[0][2]
    assert find[1] == ("assistant", ("THE LADY WITH THE BLUE SHIRT", *box))
    assert name[0][2:] == ("What is within ", ("", *box), "?") and name[1][1] == "THE LADY WITH THE BLUE SHIRT"


def test_referring_takes_the_size_of_the_picture_if_none_is_given(tmp_path):
    one = record("shikra_rec", tmp_path, bbox=[10, 20, 20, 40], width=None, height=None)  # 40 x 80 pixels
    made = shown(formats.get("referring", bbox="xyxy", locate=1.0)(one, rng()))
    assert made[1] == ("assistant", ("the lady with the blue shirt", 0.25, 0.25, 0.5, 0.5))


@pytest.mark.parametrize(
    "changes", [{"sentences": [{"tokens": []}]}, {"bbox": [1, 2]}, {"bbox": 3}, {"width": "wide"}, *WRONG_SIZES]
)
def test_malformed_refcoco(changes, tmp_path):
    with pytest.raises(SampleError, match="bad format"):
        formats.get("referring")(record("refcoco", tmp_path, file_name=None, **changes), rng())


def test_dialogue_of_shikra(tmp_path):
    man = (0.1, 0.2, 0.5, 0.8)
    assert shown(formats.get("shikra")(record("shikra_boxcot", tmp_path), rng())) == [
        ("user", "@1372189733.jpg", "What is ", ("the man", *man), " doing?"),
        (
            "assistant",
            ("The man", *man),
            " holds ",
            ("two dogs", 0.5, 0.4, 0.6, 0.8),
            ("", 0.7, 0.4, 1.0, 0.8),
            " on a leash. He walks them.",
        ),
    ]


def test_captions_of_shikra(tmp_path):
    one = record("shikra_flickr", tmp_path, image="1000092795.jpg")
    made = shown(formats.get("shikra")(one, rng()))
    assert made[1][1:] == (("Two young guys", 0, 0, 1, 1), " look at ", ("their hands", 0.5, 0.5, 1.0, 0.75), " .")


@pytest.mark.parametrize(
    "changes",
    [
        *WRONG_SIZES,
        {"answer_boxes_seq": [[0], [-1]]},
        {"answer_boxes_seq": [[0]]},
        {"answer_boxes_seq": [[0], [9]]},
        {"answer_boxes_seq": [[0], 1]},
        {"boxes": [[1]]},
    ],
)
def test_malformed_shikra(changes, tmp_path):
    with pytest.raises(SampleError, match="bad format"):
        formats.get("shikra")(record("shikra_boxcot", tmp_path, **changes), rng())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_with_a_picture_that_is_labelled_as_it_is_stored(orientation, tmp_path):
    stored = PIL.Image.new("RGB", (40, 80))
    stored.paste("red", (4, 8, 12, 24))
    exif = PIL.Image.Exif()
    exif[ORIENTATION] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    upright = open_image(tmp_path / "a.png")
    red = (np.asarray(upright) == (255, 0, 0)).all(2)
    rows, columns = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
    left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    wanted = (left / upright.width, top / upright.height, right / upright.width, bottom / upright.height)
    assert turned((0.1, 0.1, 0.3, 0.3), TRANSPOSES.get(orientation)) == pytest.approx(wanted)

    def box(bbox, **size):
        one = Record("a.jsonl:1", {"image": "a.png", "phrase": "it", "bbox": bbox, **size}, str(tmp_path))
        return formats.get("referring", bbox="xyxy", locate=1.0)(one, rng())[1].content[0].box

    seen = [int(value) for value in (left, top, right, bottom)]
    assert box(seen) == pytest.approx(wanted)  # without a labelled size, as it is seen
    assert box(seen, width=upright.width, height=upright.height) == pytest.approx(wanted)
    if orientation > 4:
        assert box([4, 8, 12, 24], width=40, height=80) == pytest.approx(wanted)
        grit = {
            "image": "a.png",
            "caption": "red",
            "ref_exps": [[0, 3, 0.1, 0.1, 0.3, 0.3, 0.9]],
            "width": 40,
            "height": 80,
        }
        made = formats.get("grit")(Record("a.jsonl:1", grit, str(tmp_path)), rng())
        assert made[1].content[0].box == pytest.approx(wanted)
