"""The demo, on a model with random weights: every step runs and is shown on one self-contained page."""

import base64
import io
import re
from pathlib import Path

import pytest
from PIL import Image

from seedx.cli import main
from seedx.draw_boxes import mark_boxes
from seedx.messages import Box
from seedx_stickers import demo, demo_page
from seedx_stickers.demo import Result, Step, Turn

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
def test_the_quick_demo_makes_its_page(tiny_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demo, "LONGEST_ANSWER", 20)
    code = main(["demo", "--quick", "--out", str(tmp_path), "--examples", str(EXAMPLES), "--model", str(tiny_folder)])
    lines = capsys.readouterr().out.splitlines()
    assert code == 0 and len(lines) == len(demo.steps(quick=True)) + 1
    assert {line.split()[0] for line in lines[:-1]} == {
        "read",
        "point",
        "draw",
        "edit",
        "combine",
        "redraw",
        "story",
        "slide",
    }

    page = (tmp_path / "index.html").read_text()
    assert len(re.findall(r'<div class="card( wide)?">', page)) == len(lines) - 1
    assert not re.findall(r'(?:src|href)="(?!data:image/png|https://openmoji\.org)', page)
    pictures = [Image.open(io.BytesIO(base64.b64decode(data))) for data in re.findall(r"base64,([^\"]+)", page)]
    assert len(pictures) >= 8 and {picture.format for picture in pictures} == {"PNG"}
    assert "what does the dog wear?" in page and "$" not in page


def test_the_files_of_all_steps_exist():
    sizes = [Image.open(EXAMPLES / name).size for step in demo.STEPS for name in step.files]
    ratios = [width / height for width, height in sizes]
    assert max(ratios) == 4 and min(ratios) == 1 / 8
    assert {step.kind for step in demo.steps()} == set(demo_page.SECTIONS)


def test_a_missing_example_is_an_error(tiny, tmp_path):
    with pytest.raises(ValueError, match=r"beach\.png is missing; pass the folder"):
        demo.perform(tiny, demo.STEPS[0], tmp_path)


def test_several_turns_are_one_conversation(tiny, monkeypatch):
    monkeypatch.setattr(demo, "LONGEST_ANSWER", 4)
    result = demo.perform(tiny, Step("talk", ("what?", "where?"), ("meadow.png",)), EXAMPLES)
    assert [turn.prompt for turn in result.turns] == ["what?", "where?"]
    assert [len(turn.inputs) for turn in result.turns] == [1, 0]
    assert result.seconds == pytest.approx(sum(turn.seconds for turn in result.turns))


def test_prompts_and_replies_are_text_on_the_page_and_one_line_in_the_terminal(tmp_path):
    turn = Turn("<b>bold</b>?", (), "a & b " * 100, (), 1.25)
    result = Result(Step("read", ("x",)), (turn,))
    page = demo_page.write(tmp_path, [result], "<model>", Path("x"), 1.0).read_text()
    assert "&lt;b&gt;bold&lt;/b&gt;?" in page and "<b>bold" not in page and "&lt;model&gt;" in page
    assert len(result.line) == demo.LINE and result.line.endswith("...")


def test_boxes_are_drawn_where_they_are():
    picture = Image.new("RGB", (100, 50), "white")
    marked = mark_boxes(picture, [Box((0.5, 0.2, 1.0, 0.8), "cat")])
    assert marked.size == (800, 400) and picture.getcolors() == [(5000, (255, 255, 255))]
    red = (230, 25, 75)
    assert marked.getpixel((600, 80)) == marked.getpixel((400, 240)) == marked.getpixel((799, 318)) == red
    assert marked.getpixel((600, 280)) == marked.getpixel((200, 200)) == (255, 255, 255)
