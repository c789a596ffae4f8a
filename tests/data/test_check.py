"""A check of training data: what it counts, which samples it shows, and what the verb prints and writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from layouts import make_pictures

from seedx import tokenizer
from seedx.cli import main
from seedx.data.check import SHOWN, Check, chosen, quantile
from seedx.data.check_page import page
from seedx.data.shard_reader import Data, shares, tempered
from small import SMALL, TOKENIZER

LOOK = Check(tokenizer.load(TOKENIZER), SMALL)


def conversation(answer: str, picture: str = "a.png") -> dict[str, object]:
    asked = [{"type": "image", "image": picture}, {"type": "text", "text": "<b>Where?"}]
    boxed = [{"type": "text", "text": answer}, {"type": "box", "label": "cat", "box": [0.1, 0.2, 0.4, 0.6]}]
    return {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": boxed}]}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    make_pictures("a.png", path.parent)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three samples, one of them long, then a missing picture and a line that is no conversation."""
    rows = [conversation("Here. "), conversation("There. "), conversation("word " * 100), conversation("x", "gone.png")]
    return write(tmp_path / "train.jsonl", *rows, {"messages": []})


@pytest.mark.parametrize(("too_long", "used"), [("drop", 2), ("truncate", 3)])
def test_samples_are_counted(too_long: str, used: int, data: Path) -> None:
    check = Check(LOOK.tokenizer, LOOK.config, length=100, too_long=too_long)
    (found,) = check([Data(str(data))], 100)
    cause = "too long" if too_long == "drop" else "truncated"
    assert found.errors.counts == {cause: 1, "missing file": 1, "bad format": 1}
    assert (found.read, found.errors.used, len(found.lengths), found.over) == (5, used, 3, 1)
    assert len(found.tiles) == 3 and found.drawn == 0 and max(found.lengths) > 100 and len(found.samples) == 3


def test_as_many_samples_are_read_of_each_source(tmp_path: Path) -> None:
    sources = [write(tmp_path / f"{name}.jsonl", *[conversation(name)] * 40) for name in "ab"]
    found = LOOK([Data(str(sources[0]), weight=9), Data(str(sources[1]), weight=1)], 50)
    assert [check.read for check in found] == [25, 25] and [check.share for check in found] == [0.9, 0.1]
    shown = chosen(found)
    assert len(shown) == SHOWN and [check is found[0] for check, _ in shown] == [True, False] * 6


def test_a_page_shows_labels_masks_and_boxes(data: Path) -> None:
    text = page("Data & more", LOOK([Data(str(data))], 100), LOOK.tokenizer)
    assert "<title>Data &amp; more</title>" in text and text.count('class="card wide"') == 3
    assert "&lt;b&gt;Where?" in text and "<b>Where?" not in text
    assert "image 1, read, 1 box" in text and text.count("data:image/png;base64,") == 3
    assert '<span class="label">Here. cat' in text and f"{SMALL.bridge.queries} placeholders, read" in text
    assert "<b>1 missing file</b>" in text and "http" not in text.replace("http-equiv", "")


def test_quantiles() -> None:
    assert [quantile(range(1, 101), part) for part in (0.5, 0.95, 1.0)] == [50, 95, 100] and quantile([], 0.5) == 0


def test_a_temperature_evens_out_the_shares() -> None:
    mixture = [Data("a.tar", weight=900), Data("b.tar", weight=100)]
    assert tempered(mixture, 1.0) == tuple(mixture)
    assert shares(tempered(mixture, 2.0)) == pytest.approx([0.75, 0.25])
    assert shares(tempered(mixture, 1e9)) == pytest.approx([0.5, 0.5])
    assert shares(tempered(mixture, 0.01)) == pytest.approx([1.0, 0.0]) and tempered([], 2.0) == ()


RECIPE = """
name = "mine"
stage = "language"
max_seq_len = 100
mixture_temperature = 2.0
[[data]]
source = "{folder}/train.jsonl"
weight = 900
[[data]]
source = "{folder}/more.jsonl"
weight = 100
"""


def test_the_verb_on_a_recipe(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "more.jsonl", conversation("Here. "))
    (tmp_path / "mine.toml").write_text(RECIPE.format(folder=tmp_path))
    out = tmp_path / "check.html"
    assert main(["data", "check", str(tmp_path / "mine.toml"), "--html", str(out), "--model", str(TOKENIZER)]) == 2
    assert "config.json" in capsys.readouterr().err
    assert main(["data", "check", str(tmp_path / "mine.toml"), "--html", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "75.0%" in shown and "25.0%" in shown and "temperature 2" in shown and "over 100" in shown
    assert "1 missing file in " in shown and "gone.png is not there" in shown and "Data of mine" in out.read_text()
    command = ["data", "check", str(tmp_path / "mine.toml"), "--html", str(out), "--json"]
    assert main([*command, "--set", "mixture_temperature=1"]) == 0
    assert [one["share"] for one in json.loads(capsys.readouterr().out)["sources"]] == [0.9, 0.1]


def test_the_verb_on_data_without_a_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A cat."}]
    (tmp_path / "llava.json").write_text(json.dumps([{"id": "1", "image": "a.png", "conversations": turns}]))
    make_pictures("a.png", tmp_path / "images")
    command = ["data", "check", str(tmp_path / "llava.json"), "--html", str(tmp_path / "a.html"), "--json"]
    assert main([*command, "--format", "llava", "--options", "images=images"]) == 0
    (source,) = json.loads(capsys.readouterr().out)["sources"]
    assert source["used"] == 1 and source["errors"] == {} and source["pictures_read"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.toml"], "no recipe at none.toml"),
        (["none.jsonl"], "does not exist"),
        (["a.toml", "--format", "llava"], "use --set"),
        (["empty.toml"], "no [[data]] tables"),
        (["empty.toml", "--samples", "0"], "at least 1"),
        (["empty.toml", "--set", "mixture_temperature=0"], "mixture_temperature is a number from 0.01"),
        (["train.jsonl", "--options", "images"], "--options takes name=value"),
    ],
)
def test_mistakes(
    arguments: list[str],
    message: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.toml").write_text('name = "a"\nstage = "vae"\n')
    assert main(["data", "check", *arguments]) == 2 and message in capsys.readouterr().err
    assert not Path("data-check.html").exists()
