"""Slides as a model writes them: read, repaired or refused, checked, put right, and written to files."""

import dataclasses
import json

import numpy as np
import PIL.Image
import pptx
import pytest

from seedx.messages import Image, Text
from seedx.slides import ImageElement, Paragraph, Slide, TextElement
from seedx.slides.form import write

RED = PIL.Image.new("RGB", (96, 96), "red")
BUSY = PIL.Image.fromarray(np.indices((96, 96)).sum(0).astype(np.uint8) % 2 * 255).convert("RGB")
TITLE = TextElement(1 / 28, 1 / 28, 25 / 28, 4 / 28, (Paragraph("Winter", 40),))
BODY = TextElement(1 / 28, 8 / 28, 12 / 28, 18 / 28, (Paragraph("A tree.", 24), Paragraph("It is cold.", 24)))
PICTURE = ImageElement(0.5, 0.25, 0.375, 0.6875, RED)
SLIDE = Slide(12_192_000, 6_858_000, (TITLE, BODY, PICTURE))

HEAD = '{"slide_width": 12192000, "slide_height": 6858000, "elements": ['
TEXT = (
    '{"type": "text", "x": <loc-8>, "y": <loc-8>, "width": <loc-200>, "height": <loc-32>, '
    '"paragraphs": [{"texts": "Winter", "font_size": 40}]}'
)
PLACE = '"type": "image", "x": <loc-112>, "y": <loc-56>, "width": <loc-84>, "height": <loc-154>'
WRITTEN = f"{HEAD}{TEXT}, {{{PLACE}}}[picture]]}}"
TITLE_AND_PICTURE = dataclasses.replace(SLIDE, elements=(TITLE, PICTURE))


def parse(written: str, picture: PIL.Image.Image = RED) -> Slide:
    """`[picture]` in the text is where one was drawn."""
    parts = [part for text in written.split("[picture]") for part in (Image(picture), Text(text))]
    return Slide.parse(parts[1:])


def with_texts(*texts: TextElement, picture: ImageElement = PICTURE) -> Slide:
    return dataclasses.replace(SLIDE, elements=(picture, *texts))


def text(words: str, x: float, y: float, width: float, height: float, font_size: float = 24) -> TextElement:
    return TextElement(x, y, width, height, (Paragraph(words, font_size),))


def test_the_form_is_read_as_it_is_written():
    elements = [
        {"type": "text", "x": "<loc-8>", "y": "<loc-8>", "width": "<loc-200>", "height": "<loc-32>"}
        | {"paragraphs": [{"texts": "Winter", "font_size": 40}]},
        {"type": "image", "x": "<loc-112>", "y": "<loc-56>", "width": "<loc-84>", "height": "<loc-154>"}
        | {"image": Image(RED)},
    ]
    parts = write(12_192_000, 6_858_000, elements)
    assert parts == [Text(WRITTEN.split("[picture]")[0]), Image(RED), Text("]}")]
    assert Slide.parse(parts) == TITLE_AND_PICTURE
    assert not TITLE_AND_PICTURE.problems() and TITLE_AND_PICTURE.title == "Winter"


def test_json_comes_back():
    written = SLIDE.to_json()
    assert json.loads(written)["elements"][1]["paragraphs"][1] == {"texts": "It is cold.", "font_size": 24}
    without = dataclasses.replace(SLIDE, elements=(TITLE, BODY, dataclasses.replace(PICTURE, image=None)))
    assert Slide.parse([Text(written)]) == without


REPAIRS = {
    "brackets at the end": (WRITTEN[:-2], "closed 2 brackets at the end"),
    "a bracket of a list": (WRITTEN.replace("40}]}", "40}}"), "put in a missing ] before }"),
    "a brace before a picture": (WRITTEN.replace("}[picture]", "[picture]"), "put in a missing } before ]"),
    "a brace within": (WRITTEN.replace("40}]}, {", "40}], {"), "put in a missing } before {"),
    "a brace too many": (WRITTEN.replace("40}]}", "40}]}}"), "left out a } too many"),
    "a comma at the end": (WRITTEN.replace("40}]", "40},]"), "left out a comma too many"),
    "a comma too many": (WRITTEN.replace('40}]}, {"type"', '40}]},, {"type"'), "left out a comma too many"),
    "a comma": (WRITTEN.replace('"Winter", ', '"Winter" '), "put in a missing comma"),
    "a colon": (WRITTEN.replace('"x":', '"x"'), "put in a missing colon"),
    "quotes of a key": (WRITTEN.replace('"x"', "x"), "put quotes around x"),
    "other quotes": (WRITTEN.replace('"type": "text"', "'type': 'text'"), "read '...' as quotes"),
    "words around": (f"Here it is: {WRITTEN} Done.", "left out 'Done.' after the slide"),
    "a font size": (WRITTEN.replace(', "font_size": 40', ""), "took 18 points as a font size (missing)"),
    "points": (WRITTEN.replace("40}", '"40pt"}'), "read a font size as 40 points"),
    "font size in EMU": (WRITTEN.replace("40}", "508000}"), "read a font size in EMU as 40 points"),
    "EMU": (WRITTEN.replace("<loc-112>", "6096000"), 'read "x": 6096000 as 0.500 of the slide'),
    "fractions": (WRITTEN.replace("<loc-112>", "0.5"), 'read "x": 0.5 as 0.500 of the slide'),
    "bare indices": (WRITTEN.replace("<loc-112>", "112"), 'read "x": 112 as 0.500 of the slide'),
    "the size": (WRITTEN.replace('"slide_width": 12192000, ', ""), "took 12192000 x 6858000 EMU as the size"),
    "a size no program takes": (WRITTEN.replace("12192000", "7"), "took 12192000 x 6858000 EMU as the size"),
    "the type": (WRITTEN.replace('"type": "text", ', ""), "took an element of type None as text"),
    "another type": (WRITTEN.replace('"image"', '"picture"'), "took an element of type 'picture' as image"),
    "one paragraph": (
        WRITTEN.replace('"paragraphs": [', '"paragraphs": ').replace("40}]", "40}"),
        "made a list of the only paragraph",
    ),
    "a picture before": (WRITTEN.replace(f"{{{PLACE}}}[picture]", f"[picture]{{{PLACE}}}"), "moved a picture"),
    "a picture within": (WRITTEN.replace("}[picture]", "[picture]}"), "moved a picture from within its element"),
    "a second picture": (WRITTEN.replace("[picture]", "[picture][picture]"), "left out 1 picture(s)"),
    "an element cut off": (WRITTEN[:-2] + ', {"type": "text", "x": <loc-', "left out the last element"),
}


@pytest.mark.parametrize("what", REPAIRS)
def test_what_is_meant_is_repaired_and_told(what):
    written, told = REPAIRS[what]
    slide = parse(written)
    assert any(told in repair for repair in slide.repairs)
    size = 18 if what == "a font size" else 40
    title = dataclasses.replace(TITLE, paragraphs=(Paragraph("Winter", size),))
    assert dataclasses.replace(slide, repairs=()) == dataclasses.replace(SLIDE, elements=(title, PICTURE))


def test_loc_tokens_past_the_last_are_cut():
    slide = parse(WRITTEN.replace("<loc-84>", "<loc-300>"))
    assert slide.images[0].width == 1 and slide.repairs == ("cut <loc-300> to <loc-223>",)
    assert slide.problems() == ["the picture at 0.50, 0.25 sticks out of the slide"]


def test_font_sizes_are_cut_to_what_can_be_set():
    slide = parse(WRITTEN.replace("40}", "5000}"))
    assert slide.texts[0].paragraphs[0].font_size == 400 and slide.repairs == ("cut a font size to 400 points",)
    assert parse(WRITTEN.replace("40}", "0.01}")).texts[0].paragraphs[0].font_size == 1


def test_quotes_and_escapes_in_a_text_stay():
    slide = parse(WRITTEN.replace("Winter", 'The "big" \\"day\\" \\u00e9\\ud83d\\ude00'))
    assert slide.title == 'The "big" "day" é😀' and slide.repairs == ('kept a " within a text',)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("I can't.", 'expected JSON that starts with {, not "I can\'t."'),
        ("{}", 'a list "elements" that is not empty, not None'),
        (WRITTEN.replace("<loc-112>", "@@"), "expected a value.* after '.*\"x\": ', not '@@, .*character"),
        (WRITTEN.replace('"x":', "x ="), "expected a colon after the name of a field"),
        (WRITTEN.replace('"y": <loc-8>, ', ""), '"y" of an element is a loc token such as <loc-12>, not None'),
        (WRITTEN.replace("<loc-112>", "1e20"), "far outside of the slide"),
        (WRITTEN.replace("<loc-32>", "<loc-0>"), "a width and a height over 0"),
        (WRITTEN.replace('"image"', '"chart"'), 'of type "text" or "image", not \'chart\''),
        (WRITTEN.replace('{"texts": "Winter", "font_size": 40}', "7"), "a paragraph is .*, not 7"),
        (WRITTEN.replace("[{", "[" * 20 + "{"), "at most 12 brackets"),
        (f"{HEAD}3]}}", "an object in braces, not 3"),
    ],
)
def test_what_is_not_clear_is_refused_with_the_place(written, problem):
    with pytest.raises(ValueError, match=problem):
        parse(written)


def test_any_beginning_of_a_slide_is_read_or_refused():
    """As it is when the limit of an answer cuts it off: from the end of the first element on there is a slide."""
    short = WRITTEN.replace("[picture]", "\1")
    for end in range(len(short)):
        try:
            slide = parse(short[:end].replace("\1", "[picture]"))
            assert slide.repairs and slide.elements[0].corners == pytest.approx(TITLE.corners)
        except ValueError:
            assert end < len(HEAD + TEXT)


def test_problems_name_the_elements():
    slide = with_texts(text("Over the picture", 0.4, 0.4, 0.3, 0.2), text("Out", 0.8, 0.02, 0.4, 0.1), picture=PICTURE)
    busy = dataclasses.replace(PICTURE, image=BUSY)
    assert slide.problems() == [
        'the text "Out" sticks out of the slide',
        "there is no title: one paragraph larger than all others",
    ]  # red all over: text may stand on it
    assert (
        'the picture at 0.50, 0.25 and the text "Over the picture" overlap'
        in with_texts(*slide.texts, picture=busy).problems()
    )
    long = text("many words " * 30, 0.02, 0.05, 0.3, 0.3, 40)
    assert with_texts(long).problems() == ['the text "many words many words many wor..." does not fit its box']
    assert with_texts(text("unbreakable" * 9, 0.02, 0.05, 0.3, 0.9)).problems()
    assert len(with_texts(TITLE, TITLE).problems()) == 2  # they overlap, and neither is the larger


def test_fitted_text_is_beside_the_picture_within_the_slide_and_small_enough():
    busy = dataclasses.replace(PICTURE, image=BUSY)
    bad = with_texts(
        text("A title that is out", 0.5, -0.1, 0.9, 0.15, 40),
        text("words that cover the picture " * 16, 0.4, 0.4, 0.4, 0.5),
        picture=busy,
    )
    assert len(bad.problems()) == 3
    good = bad.fitted()
    assert good.problems() == [] and good.title == bad.title and good.images == bad.images
    assert good.fitted() == good
    assert [p.text for t in good.texts for p in t.paragraphs] == [p.text for t in bad.texts for p in t.paragraphs]
    assert SLIDE.fitted() == SLIDE


def test_where_there_is_no_room_a_text_stays():
    full = ImageElement(0, 0, 1, 1, BUSY)
    crowded = with_texts(text("Here", 0.4, 0.4, 0.3, 0.2), picture=full)
    assert crowded.fitted() == crowded and "overlap" in crowded.problems()[0]


def test_a_small_rendering_shows_what_a_large_one_does():
    large, small = SLIDE.to_image(), SLIDE.to_image(320)
    assert (large.size, small.size) == ((960, 540), (320, 180))
    assert large.getpixel((700, 300)) == (255, 0, 0) and large.getpixel((950, 530)) == (255, 255, 255)
    dark = np.asarray(large.convert("L")) < 128
    assert dark[20:90, 30:200].any() and dark[150:250, 30:200].any() and not dark[:, :30].any()
    difference = np.asarray(large.resize(small.size), int) - np.asarray(small, int)
    assert np.abs(difference).mean() < 2
    empty = with_texts(TITLE, picture=dataclasses.replace(PICTURE, image=None)).to_image()
    assert empty.getpixel((700, 300)) == (225, 225, 230)


def test_a_presentation_holds_the_same(tmp_path):
    SLIDE.to_pptx(tmp_path / "slide.pptx")
    file = pptx.Presentation(tmp_path / "slide.pptx")
    assert (file.slide_width, file.slide_height, len(file.slides)) == (12_192_000, 6_858_000, 1)
    shapes = file.slides[0].shapes
    assert shapes.title.text_frame.text == "Winter" == file.core_properties.title
    (body,) = [shape for shape in shapes if shape.has_text_frame and shape.text_frame.text != "Winter"]
    assert [p.text for p in body.text_frame.paragraphs] == ["A tree.", "It is cold."]
    assert body.text_frame.paragraphs[0].font.size.pt == 24
    assert body.left == pytest.approx(12_192_000 / 28, abs=1) and body.height == pytest.approx(
        6_858_000 * 18 / 28, abs=1
    )
    (picture,) = [shape for shape in shapes if hasattr(shape, "image")]
    assert picture.width == pytest.approx(picture.height, abs=2)  # square, in a box that is not
    assert picture.left >= 0.5 * 12_192_000 - 1 and picture.image.size == (96, 96)


def test_a_presentation_without_a_title_has_no_empty_one(tmp_path):
    with_texts(text("one", 0, 0, 0.2, 0.2), text("two", 0, 0.3, 0.2, 0.2)).to_pptx(tmp_path / "slide.pptx")
    shapes = pptx.Presentation(tmp_path / "slide.pptx").slides[0].shapes
    assert shapes.title is None and len(shapes) == 3
