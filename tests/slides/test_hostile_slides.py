"""Slides with what no file can hold, with numbers of any size, and long ones in linear time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pptx
import pytest

from clock import quickest
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


@pytest.mark.parametrize(("written", "size"), [("040", 40), ("0040", 40), ("-0", None), ("04.5e1", 45)])
def test_numbers_may_begin_with_zeros(written: str, size: float | None) -> None:
    (element,) = parse(slide("Winter", written)).elements
    found = element.paragraphs[0].font_size  # type: ignore[union-attr]
    assert found == size if size else found > 0


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


def growth(action: Callable[[str], object], make: Callable[[int], str], once: int) -> float:
    """How many times as long eight times the text takes: 8 if the time is linear, 64 if it is quadratic. Both are
    measured at their best on the same machine, so its speed and its other work do not matter."""
    short, long = make(once), make(8 * once)
    return quickest(lambda: action(long)) / quickest(lambda: action(short))


LINEAR = 24  # between 8 and 64: three times off either way


def parsed(written: str) -> str:
    try:
        return parse(written).title
    except SeedxError as error:
        return str(error)


FILLED: dict[str, Callable[[int], str]] = {
    "before": lambda n: " " * n + slide("Winter"),
    "a field": lambda n: slide("Winter").replace('"x"', " " * n + '"x"'),
    "a text": lambda n: slide("Winter" + " " * n),
    "a value": lambda n: slide("Winter").replace("<loc-8>", "<loc-8>" + " " * n, 1),
    "after": lambda n: slide("Winter") + "}" * n,
    "a list": lambda n: slide("Winter").replace('"elements": [', '"elements": [' + "}" * n),
    "commas": lambda n: slide("Winter").replace('"elements": [', '"elements": [' + ", " * n),
    "numbers": lambda n: slide("Winter").replace('"type"', '"more": [' + "1 " * n + '], "type"'),
    "escapes": lambda n: slide("Winter").replace('"type"', '"more": "' + '\\"' * n + '", "type"'),
    "quotes": lambda n: slide("Winter").replace('"type"', '"more": "' + '" a' * n + '", "type"'),
}


@pytest.mark.parametrize("name", FILLED)
def test_the_parser_is_linear(name: str) -> None:
    assert growth(parsed, FILLED[name], 1000) < LINEAR
    shown = parsed(FILLED[name](8000))
    assert len(shown) < 300 or shown.strip() == "Winter"


@pytest.mark.parametrize(
    "make",
    [
        lambda n: " " * n,
        lambda n: "a" + " " * n + "b",
        lambda n: "[[" + "\t" * n + "x",
        lambda n: ("<box_start>" + " " * 10) * (n // 20),
        lambda n: ("<loc-1>" + " " * 10) * (n // 20),
    ],
)
def test_the_stripper_of_boxes_is_linear(make: Callable[[int], str]) -> None:
    assert growth(strip_boxes, make, 5000) < LINEAR
    assert strip_boxes(make(5000)) == ("" if "<box" in make(5000) else make(5000))


def test_the_space_before_a_box_goes_with_it() -> None:
    assert strip_boxes("a  \t<box_start><loc-1><box_end> b <box_start><loc-2>") == "a b"
