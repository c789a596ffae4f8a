import random

import pytest

from seedx.messages import Box
from seedx.tokens import ADDED_TOKENS, SpecialTokens, box_to_text, from_loc, strip_boxes, text_to_boxes, to_loc


def test_the_330_tokens_have_the_ids_of_the_release() -> None:
    specials = SpecialTokens.at(32000)
    assert len(ADDED_TOKENS) == len(set(ADDED_TOKENS)) == 330
    assert (specials.placeholders[0], specials.placeholders[99]) == (32000, 32099)
    assert (specials.image_start, specials.image_end, specials.patch_start, specials.patch_end) == (
        *range(32100, 32104),
    )
    assert (specials.loc(0), specials.loc(223), specials.box_start, specials.box_end) == (32104, 32327, 32328, 32329)


def test_a_missing_token_is_named() -> None:
    vocabulary = {token: i for i, token in enumerate(ADDED_TOKENS) if token != "<loc-7>"}
    with pytest.raises(ValueError, match="<loc-7>"):
        SpecialTokens.find(vocabulary, bos=1, eos=2, pad=0)


def test_more_placeholders_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="100 placeholders"):
        SpecialTokens.at(0).image(101)


def test_the_whole_image_comes_back_exactly_without_loc_224() -> None:
    text = box_to_text((0, 0, 1, 1))
    assert text == "<box_start><loc-112><loc-112><loc-223><loc-223><box_end>"
    assert text_to_boxes(text) == [Box((0.0, 0.0, 1.0, 1.0))]


def test_every_index_comes_back_but_the_one_that_is_one() -> None:
    assert [to_loc(from_loc(i)) for i in range(224)] == list(range(224))
    assert from_loc(to_loc(1.0)) == from_loc(224) == 1.0


def test_a_box_comes_back_within_two_marks() -> None:
    rng = random.Random(0)
    for _ in range(2000):
        (x0, x1), (y0, y1) = sorted((rng.random(), rng.random())), sorted((rng.random(), rng.random()))
        [box] = text_to_boxes(box_to_text((x0, y0, x1, y1)))
        assert max(abs(a - b) for a, b in zip(box.box, (x0, y0, x1, y1), strict=True)) <= 2 / 224
        assert all(0 <= side <= 1 for side in box.box)


@pytest.mark.parametrize("box", [(0.5, 0, 0.2, 1), (0, 0, 1.2, 1), (0, 0, 100, 50), (0, 0, 1), (0, 0, float("nan"), 1)])
def test_an_invalid_box_is_an_error(box: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="fraction"):
        box_to_text(box)


def test_labels_are_the_words_before_a_box() -> None:
    one, two = box_to_text((0, 0, 0.5, 1)), box_to_text((0.5, 0, 1, 1))
    text = f"Two cats: the black cat {one}, and a star{two}. Nothing else."
    assert text_to_boxes(text) == [Box((0, 0, 0.5, 1), "the black cat"), Box((0.5, 0, 1, 1), "a star")]
    assert strip_boxes(text) == "Two cats: the black cat, and a star. Nothing else."


def test_boxes_are_found_with_the_spaces_of_the_release() -> None:
    text = "It is at <box_start> <loc-112> <loc-112> <loc-112> <loc-112> <box_end>"
    assert text_to_boxes(text) == [Box((0.25, 0.25, 0.75, 0.75), "It is at")]


def test_malformed_boxes_are_skipped() -> None:
    text = f"a<box_start><loc-1><loc-2><box_end>cat {box_to_text((0, 0, 1, 1))} b <box_start><loc-3>"
    assert [box.label for box in text_to_boxes(text)] == ["cat"]
    assert strip_boxes(text) == "acat b"
    assert text_to_boxes(f"a <box_start><loc-3> star {box_to_text((0, 0, 1, 1))}")[0].label == "star"


def test_brackets_around_boxes_are_no_part_of_text_or_label():
    one, other = box_to_text((0, 0, 0.5, 1)), box_to_text((0.5, 0, 1, 1))
    text = f"{one} ]] ; a dog [[ {one} {other} ]] and a list [[1, 2]]."
    assert [box.label for box in text_to_boxes(text)] == ["", "a dog", ""]
    assert strip_boxes(text) == " ; a dog and a list [[1, 2]]."
    assert strip_boxes("a dog [[ ") == strip_boxes("a dog [[ <box_start><loc-1>") == "a dog"  # still being written
