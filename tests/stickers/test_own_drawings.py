"""Training data from the model's own drawings: only those that are right, and resumed after an interruption."""

import json
import re
import runpy
import sys
from itertools import islice
from pathlib import Path

import pytest
from PIL import Image

from seedx.data.sources import open_source
from seedx.messages import images
from seedx_stickers.judge import load_judge
from seedx_stickers.scenes import render
from seedx_stickers.training import own_drawings


def lines(folder):
    return [json.loads(line) for line in (folder / "conversations.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    own_drawings.main(out=folder, n=12, batch=4)
    return folder


@pytest.mark.slow
def test_only_what_is_right_is_kept(drawn):
    judge, kept = load_judge(), {record["index"]: record for record in lines(drawn)}
    assert 6 <= len(kept) < 12  # of the bundled model's drawings most are right
    for index, record in kept.items():
        own = Image.open(drawn / record["messages"][0]["content"][0]["image"])
        item, turn = own_drawings.drawn_turn(1, index)
        expected = item.example.expected[turn]
        assert own_drawings.is_right(judge, own, expected)
        assert own.tobytes() != render(expected.target).tobytes()


def test_what_is_asked_about_a_drawing_needs_no_turn_before():
    for index in range(60):
        item, turn = own_drawings.drawn_turn(3, index)
        said, answer = item.example.messages[2 * turn + 2 : 2 * turn + 4]
        assert (said.role, answer.role) == ("user", "assistant") and not images([said])
        assert not {"it", "it?"} & set(" ".join(part.text for part in said.content).split())


@pytest.mark.slow
def test_an_interrupted_run_is_resumed(drawn, tmp_path):
    early = [json.dumps(record) + "\n" for record in lines(drawn) if record["index"] < 4]
    cut = '{"messages": [{"role"'  # killed while it wrote a line
    (tmp_path / "conversations.jsonl").write_text("".join(early) + cut, encoding="utf-8")
    own_drawings.main(out=tmp_path, n=12, batch=4)
    assert lines(tmp_path) == lines(drawn)


@pytest.mark.slow
def test_it_is_read_as_messages(drawn):
    (unit,) = open_source(str(drawn / "conversations.jsonl"))
    for _, record in islice(unit.read(), 3):
        content = record.fields["messages"][0]["content"]
        assert record.image(content[0]["image"])


def test_the_command_of_the_makefile(tmp_path, monkeypatch):
    makefile = Path(__file__).parents[2] / "Makefile"
    (line,) = re.findall(r"-m (seedx_stickers\.training\.own_drawings .*?) \|\|", makefile.read_text(encoding="utf-8"))
    line = (
        line.replace("$(TINY)-so-far", "tiny").replace("runs/own-drawings/$$seed", str(tmp_path)).replace("$$seed", "1")
    )
    module, *arguments = line.split()
    monkeypatch.setattr(sys, "argv", [module, *arguments, "--n", "1"])
    monkeypatch.delitem(sys.modules, module)  # it is run as a program, not imported
    runpy.run_module(module, run_name="__main__")
    assert (tmp_path / "conversations.jsonl").is_file()
