"""The command line as a user meets it: results on stdout, a mistake as one line on stderr and exit code 2."""

import io
import json
import subprocess
import sys

import pytest
from PIL import Image

from seedx import cli
from seedx.cli import VERBS, main
from seedx.inference import bench
from seedx.verbs import repl

SHORT = ["--max-new-tokens", "24"]


@pytest.fixture
def picture(tmp_path):
    file = tmp_path / "red.png"
    Image.new("RGB", (120, 40), "red").save(file)
    return file


@pytest.fixture
def run(tiny_folder, tmp_path, monkeypatch, capsys):
    """Run a verb in an empty folder on the random model: (exit code, stdout, stderr)."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def call(*arguments):
        code = main([*map(str, arguments), "--model", str(tiny_folder)])
        return code, *capsys.readouterr()

    return call


def mistake(capsys, *arguments):
    """What stderr says: one line."""
    assert main([str(argument) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("seedx: ") and err.count("\n") == 1
    return err


def test_help_lists_every_verb():
    shown = subprocess.run([sys.executable, "-m", "seedx.cli", "--help"], capture_output=True, text=True, check=True)
    assert all(f"  {name} " in shown.stdout for name in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: seedx {verb}")
    assert VERBS[verb].__doc__.splitlines()[0] in " ".join(shown.split())


def test_draw_edit_and_reconstruct_write_pictures(run, picture):
    assert run("draw", "a cat", "--size", 64, 32, "--seed", 3, *SHORT)[1].startswith("drawing.png: 64 x 32 in ")
    assert Image.open("drawing.png").size == (64, 32)
    code, out, err = run("edit", picture, "add a hat", "--out", "hat.jpg", *SHORT)
    assert (code, err) == (0, "") and out.startswith("hat.jpg: 168 x 56 in ")
    assert Image.open("hat.jpg").format == "JPEG"
    assert run("reconstruct", picture, "--condition", picture)[0] == 0
    assert Image.open("reconstructed.png").size == (168, 56)


def test_ground_prints_boxes_and_marks_them(run, picture):
    code, out, _ = run("ground", picture, "the cat", "--out", "boxes.png", *SHORT)
    assert (code, out) == (0, "nothing found\n")
    assert Image.open("boxes.png").size == (1200, 400)
    assert json.loads(run("ground", picture, "the cat", "--json", *SHORT)[1]) == []


def test_chat_answers_and_keeps_its_pictures(run, picture):
    code, out, _ = run("chat", "what is this?", "--images", picture, picture, "--drawing", "forbid", *SHORT)
    assert code == 0 and out.strip()
    for number in (1, 2):
        reply = json.loads(run("chat", "draw a cat", "--drawing", "force", "--out", "made", "--json", *SHORT)[1])
        assert reply["images"] == [f"made/seedx-{number}.png"]
        assert set(reply) == {"text", "boxes", "images", "seconds"}


def test_chat_without_a_prompt_is_a_conversation(run, picture, monkeypatch):
    lines = [
        "what is this?",
        f"/image {picture}",
        "and this?",
        "/image",
        "/foo",
        "/help",
        "/new",
        "hello",
        "/quit",
        "x",
    ]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(lines)))
    code, out, _ = run("chat", "--drawing", "forbid", "--max-new-tokens", 3)
    assert code == 0
    assert "! /image takes" in out and "! there is no command '/foo'" in out and "/new" in out
    said, *told = out.splitlines()
    assert said and len(told) == 4 + len(repl.HELP.splitlines())  # two more answers, two mistakes, the help


def test_bench_times_every_verb(run, monkeypatch):
    monkeypatch.setattr(bench, "_median", lambda name, verb, repeats: 0.25)
    seconds = json.loads(run("bench", "--json")[1])
    assert seconds.pop("load") > 0
    assert set(seconds.values()) == {0.25} and {"question", "picture", "edit"} <= set(seconds)


def test_info_counts(run, tiny_folder, capsys):
    assert main(["info", str(tiny_folder), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[-1]["module"] == "total"
    assert rows[-1]["parameters"] == sum(row["parameters"] for row in rows[:-1])


def test_verify_fails_with_1_and_train_takes_changes(tmp_path, capsys, monkeypatch):
    (tmp_path / "f_any_res.json").write_text("{}")
    assert main(["verify", str(tmp_path)]) == 1
    assert "FAIL" in capsys.readouterr().out

    called = []
    monkeypatch.setattr(run, "run", lambda *arguments, **changes: called.append((arguments, changes)))
    assert main(["train", "a.toml", "--folder", str(tmp_path), "--set", "steps=10", "name=x"]) == 0
    ((recipe, folder, threads, accept), changes) = called[0]
    assert (str(recipe), folder, threads, accept) == ("a.toml", tmp_path, None, False)
    assert changes == {"steps": 10, "name": "x"}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["drow", "a cat"], "there is no verb 'drow': did you mean 'draw'?"),
        (["draw"], "PROMPT"),
        (["draw", "a cat", "--stpes", "3"], "--stpes"),
        (["draw", "a cat", "--steps", "many"], "--steps"),
        (["draw", "a cat", "--steps", "0"], "steps is at least 1, not 0"),
        (["draw", "a cat", "--model", "huge"], "unknown model 'huge'"),
        (["draw", "a cat", "--out", "cat.foo"], "must end in the name of a picture format"),
        (["draw", "a cat", "--out", "nowhere/cat.png"], "there is no folder 'nowhere'"),
        (["chat", "hi", "--drawing", "maybe"], "'maybe'"),
        (["chat", "--json"], "--json answers one prompt"),
        (["chat", " "], "the prompt is empty"),
        (["eval", "dogs"], "'dogs'"),
        (["train", "none.toml"], "none.toml"),
        (["train", "none.toml", "--set", "steps"], "name=value"),
        (["convert", "nowhere", "folder", "--sizes", "huge"], "17b"),
        (["verify", "nowhere"], "'nowhere'"),
        (["info", "huge"], "unknown model 'huge'"),
    ],
)
def test_a_mistake_is_one_line(arguments, problem, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert problem in mistake(capsys, *arguments)


def test_bad_pictures_are_one_line(capsys, tmp_path, tiny_folder, picture):
    (tmp_path / "notes.png").write_text("text")
    where = ["--model", tiny_folder]
    assert "not a picture" in mistake(capsys, "chat", "what?", "--images", tmp_path / "notes.png", *where)
    assert "does not exist" in mistake(capsys, "edit", tmp_path / "none.png", "add a hat", *where)
    assert "4,799 allowed" in mistake(capsys, "ground", picture, "cat", "--max-pixels", 4799, *where)
    assert "context" in mistake(capsys, "chat", "word " * 3000, *where)


def test_no_arguments_and_the_version(capsys):
    assert main([]) == 0 and capsys.readouterr().out == cli.overview() + "\n"
    assert main(["--version"]) == 0 and capsys.readouterr().out.startswith("seedx 0.")
