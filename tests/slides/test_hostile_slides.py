"""Slides with what no file can hold, with numbers of any size, and long ones in linear time."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pptx
import pytest

from seedx.errors import SeedxError
from seedx.messages import Text
from seedx.slides import Paragraph, Slide
from seedx.tokens import strip_boxes

PLACE = '"x": <loc-8>, "y": <loc-8>, "width": <loc-200>, "height": <loc-100>'


def slide(words: str, font_size: str = "40") -> str:
    paragraph = f'{{"texts": "{words}", "font_size": {font_size}}}'
    text = f'{{"type": "text", {PLACE}, "paragraphs": [{paragraph}]}}'
    return f'{{"slide_width": 12192000, "slide_height": 6858000, "elements": [{text}]}}'


def parse(written: str) -> Slide:
    return Slide.parse([Text(written)])


@pytest.mark.parametrize("sign", ["\\u0001", "\x07", "\\u000b", "\\ufffe"])
def test_control_characters_are_left_out_with_a_note(sign: str, tmp_path: Path) -> None:
    made = parse(slide(f"Win{sign}ter"))
    assert made.title == "Winter" and "left out control characters of a text" in made.repairs
    made.to_pptx(tmp_path / "a.pptx")
    assert pptx.Presentation(str(tmp_path / "a.pptx")).core_properties.title == "Winter"


def test_a_slide_made_by_hand_is_cleaned_as_it_is_written(tmp_path: Path) -> None:
    made = parse(slide("Winter"))
    paragraphs = (Paragraph("Win\x00ter\ud83d", 0.01),)
    by_hand = dataclasses.replace(made, elements=(dataclasses.replace(made.texts[0], paragraphs=paragraphs),))
    by_hand.to_pptx(tmp_path / "a.pptx")
    (shape,) = pptx.Presentation(str(tmp_path / "a.pptx")).slides[0].shapes
    assert shape.text_frame.text == "Winter" and shape.text_frame.paragraphs[0].font.size.pt == 1


def test_a_title_over_255_characters_is_cut_with_a_note(tmp_path: Path) -> None:
    made = parse(slide("Winter " * 50))
    assert made.title == "Winter " * 50 and any("255 characters" in repair for repair in made.repairs)
    made.to_pptx(tmp_path / "a.pptx")
    read = pptx.Presentation(str(tmp_path / "a.pptx"))
    assert read.core_properties.title == ("Winter " * 50)[:255]
    assert read.slides[0].shapes[0].text_frame.text == "Winter " * 50


@pytest.mark.parametrize(
    ("font_size", "points"),
    [
        ("1e-30", 1),
        ("0.2", 1),
        ("5000", 400),
        ("9" * 400, 18),
        ("1e999", 18),
        ('"' + "9" * 400 + 'pt"', 18),
        ("-3", 18),
    ],
)
def test_tiny_and_huge_fonts_are_repaired(font_size: str, points: float, tmp_path: Path) -> None:
    made = parse(slide("Winter", font_size))
    assert made.texts[0].paragraphs[0].font_size == points and made.repairs
    assert all(len(repair) < 200 for repair in made.repairs)
    made.to_pptx(tmp_path / "a.pptx")
    made.to_image(64)


@pytest.mark.parametrize("place", ["9" * 400, "-1e999", "<loc-" + "9" * 5000 + ">"])
def test_places_that_are_no_places_are_refused_in_few_words(place: str) -> None:
    with pytest.raises(SeedxError) as caught:
        parse(slide("Winter").replace("<loc-200>", place))
    assert len(str(caught.value)) < 300


LONG = 200_000


@pytest.mark.parametrize(
    "written",
    [
        " " * LONG + slide("Winter"),
        slide("Winter").replace('"x"', " " * LONG + '"x"'),
        slide("Winter" + " " * LONG),
        slide("Winter").replace("<loc-8>", "<loc-8>" + " " * LONG, 1),
        slide("Winter") + "}" * LONG,
        slide("Winter").replace('"elements": [', '"elements": [' + "}" * LONG),
        slide("Winter").replace('"elements": [', '"elements": [' + ", " * LONG),
        slide("Winter").replace('"type"', '"more": [' + "1 " * LONG + '], "type"'),
        slide("Winter").replace('"type"', '"more": "' + '\\"' * LONG + '", "type"'),
        slide("Winter").replace('"type"', '"more": "' + '" a' * LONG + '", "type"'),
    ],
    ids=range(10),
)
def test_the_parser_is_linear(written: str) -> None:
    """Quadratic, 200,000 characters take minutes."""
    start = time.process_time()
    try:
        assert parse(written).title
    except SeedxError as error:
        assert len(str(error)) < 300
    assert time.process_time() - start < 20


@pytest.mark.parametrize("text", [" " * LONG, "a" + " " * LONG + "b", ("<box_start>" + " " * 10) * (LONG // 20)])
def test_the_stripper_of_boxes_is_linear(text: str) -> None:
    start = time.process_time()
    assert strip_boxes(text) == (text if "<box" not in text else "")
    assert time.process_time() - start < 20


def test_the_space_before_a_box_goes_with_it() -> None:
    assert strip_boxes("a  \t<box_start><loc-1><box_end> b <box_start><loc-2>") == "a b"
