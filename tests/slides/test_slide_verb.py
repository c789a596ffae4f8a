"""`seedx slide` and `Pipeline.slide`: the answer of a model as a file."""

import importlib.util
import json

import pptx
import pytest
from PIL import Image as Pictures

from seedx.cli import main
from seedx.inference.pipeline import Pipeline
from seedx.inference.reply import Reply
from seedx.messages import Image, Text
from seedx.verbs.options import Source

WRITTEN = (
    '{"slide_width": 9144000, "slide_height": 6858000, "elements": [{"type": "text", "x": <loc-8>, "y": <loc-8>, '
    '"width": <loc-200>, "height": <loc-32>, "paragraphs": [{"texts": "Winter", "font_size": 400}]}, '
    '{"type": "image", "x": <loc-8>, "y": <loc-60>, "width": <loc-84>, "height": <loc-112>}'
)
ANSWER = Reply((Text(WRITTEN), Image(Pictures.new("RGB", (96, 96), "red"))))  # no brackets at the end


@pytest.fixture
def run(tmp_path, tiny_folder, monkeypatch, capsys):
    """Run the verb in an empty folder: (exit code, stdout, stderr). The model's answer is `ANSWER`."""
    monkeypatch.chdir(tmp_path)
    asked = []
    monkeypatch.setattr(Pipeline, "chat", lambda self, *said, **options: asked.append((said, options)) or ANSWER)

    def call(*arguments):
        code = main(["slide", "winter", *arguments, "--model", str(tiny_folder), "--seed", "3"])
        assert not asked or (asked[0][0] == ("winter",) and not asked[0][1]["condition"] and asked[0][1]["seed"] == 3)
        return code, *capsys.readouterr()

    return call


def test_a_slide_is_a_presentation_with_its_text_made_to_fit(run):
    code, out, err = run()
    assert code == 0 and out.startswith("slide.pptx: Winter, in ")
    assert err == "repaired: closed 2 brackets at the end\n"
    (title,) = pptx.Presentation("slide.pptx").slides[0].shapes.title.text_frame.paragraphs
    assert 10 <= title.font.size.pt < 400


def test_a_slide_as_it_was_written_is_a_picture_or_json(run):
    assert run("--out", "a.json", "--as-written")[2].endswith('problem: the text "Winter" does not fit its box\n')
    with open("a.json") as file:
        assert json.load(file)["elements"][0]["paragraphs"] == [{"texts": "Winter", "font_size": 400}]
    assert run("--out", "a.png")[0] == 0
    assert Pictures.open("a.png").size == (960, 720)


def test_a_file_of_no_such_kind_is_refused_at_once(run):
    code, out, err = run("--out", "slide.docx")
    assert (code, out) == (2, "") and "must end in .pptx or .json or the name of an image format" in err
    assert "there is no folder" in run("--out", "nowhere/slide.pptx")[2]


def test_a_pptx_without_its_package_is_refused_before_the_model_is_loaded(run, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(Source, "load", lambda self: pytest.fail("the model was loaded"))
    code, out, err = run("--out", "slide.pptx")
    assert (code, out) == (2, "") and 'pip install "seedx[slides]"' in err


def test_an_answer_that_is_no_slide_is_told(tiny):
    with pytest.raises(ValueError, match="this is no slide"):
        tiny.slide("a slide about winter", max_new_tokens=4)
