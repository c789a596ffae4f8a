"""The command line: results on stdout, a user's mistake as one line with exit code 2, a bug as a traceback."""

import errno
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import warnings

import pytest
from PIL import Image

from seedx import cli
from seedx.cli import main, verbs
from seedx.errors import SeedxError
from seedx.inference.session import Session
from seedx.verbs import bench, repl

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
    assert all(f"  {name} " in shown.stdout for name in verbs())


@pytest.mark.parametrize(("name", "verb"), verbs().items())
def test_every_verb_explains_itself(name, verb, capsys):
    assert main([*name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: seedx {name}")
    assert verb.__doc__.splitlines()[0] in " ".join(shown.split())


def test_the_suites_of_eval_are_verbs_of_the_library_and_of_other_packages(capsys):
    for arguments in (["eval"], ["eval", "--help"]):
        assert main(arguments) == 0
        shown = capsys.readouterr().out
        assert "  eval export " in shown and "  eval stickers " in shown and "  draw " not in shown


def test_the_old_name_of_a_verb_works_and_warns(capsys):
    assert main(["export", "geneval", "none.jsonl", "--out", "here"]) == 2
    warning, error = capsys.readouterr().err.splitlines()
    new = "`seedx export geneval` is now `seedx eval export geneval`. The old name is read for one more release"
    assert warning == f"seedx: warning: {new}"
    assert error == "seedx: there is no 'none.jsonl'"


@pytest.mark.slow
def test_other_warnings_are_shown_as_they_are(monkeypatch, capsys):
    monkeypatch.setattr("seedx.checkpoint.info.info", lambda name: warnings.warn("look", stacklevel=1) or [])
    with pytest.warns(UserWarning, match="look"):
        assert main(["info"]) == 0
    assert not capsys.readouterr().err


def test_draw_edit_and_reconstruct_write_pictures(run, picture):
    assert run("draw", "a cat", "--size", 64, 32, "--seed", 3, *SHORT)[1].startswith("drawing.png: 64 x 32 in ")
    assert Image.open("drawing.png").size == (64, 32)
    code, out, err = run("edit", picture, "add a hat", "--out", "hat.jpg", *SHORT)
    assert (code, err) == (0, "") and out.startswith("hat.jpg: 168 x 56 in ")
    assert Image.open("hat.jpg").format == "JPEG"
    assert run("reconstruct", picture, "--condition", picture)[0] == 0
    assert Image.open("reconstructed.png").size == (168, 56)


def test_drawing_now_and_condition_are_options(run, picture):
    assert run("draw", "a cat", "--drawing", "now", *SHORT)[0] == 0
    assert run("edit", picture, "add a hat", "--drawing", "now", "--condition", *SHORT)[0] == 0
    assert Image.open("edited.png").size == (168, 56)
    arguments = ("chat", "add a hat", "--images", picture, "--drawing", "now", "--condition", "--release-suppression")
    assert json.loads(run(*arguments, "--json", *SHORT)[1])["images"] == ["seedx-1.png"]


def test_a_model_that_was_not_trained_to_edit_says_so(tiny_folder, tmp_path, picture, capsys):
    shutil.copytree(tiny_folder, tmp_path / "model")
    config = json.loads((tiny_folder / "config.json").read_text()) | {"variant": "seed_x_i"}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    edit = ("edit", picture, "add a hat", "--out", tmp_path / "a.png", "--model", tmp_path / "model", *SHORT)
    assert "SEED-X-I was not trained to edit pictures" in mistake(capsys, *edit)
    assert main([*map(str, edit), "--condition"]) == 0
    assert capsys.readouterr().err.startswith("seedx: warning: SEED-X-I was not trained to edit pictures")


def test_caption_says_what_the_api_says(run, picture, tiny):
    code, out, _ = run("caption", picture, *SHORT)
    assert (code, out.strip()) == (0, tiny.caption(picture, max_new_tokens=int(SHORT[1])).strip())
    assert json.loads(run("caption", picture, "--json", *SHORT)[1]) == {"text": out.strip()}


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


def chatting(run, monkeypatch, data, *options):
    """What a chat prints for these bytes on standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
    code, out, _ = run("chat", "--drawing", "forbid", "--max-new-tokens", 3, *options)
    assert code == 0
    return out


@pytest.mark.parametrize("name", ["it's.png", "my cat.png", "a\\b.png", 'the "best".png', "caf\udce9.png"])
def test_files_of_a_chat_may_have_any_name(run, picture, monkeypatch, name):
    picture.rename(name)
    out = chatting(run, monkeypatch, os.fsencode(f"/image {name}\nwhat is this?\n"))
    assert "!" not in out.splitlines()[:1] and not out.startswith("! ")


def test_several_files_of_a_chat_are_in_quotes_where_they_need_them(run, picture, monkeypatch):
    shutil.copy(picture, "my cat.png")
    out = chatting(run, monkeypatch, f"/image 'my cat.png' {picture}\n/image my none.png\n".encode())
    assert out.startswith("! ") and "'my' does not exist" in out and out.count("!") == 1


def test_bytes_that_are_not_utf8_do_not_end_a_chat(run, monkeypatch):
    assert len(chatting(run, monkeypatch, b"caf\xe9 \xff?\nhello\n").splitlines()) == 2


def test_the_pictures_of_a_refused_turn_are_dropped_and_a_full_context_names_new(run, picture, monkeypatch):
    lines = ["hello", f"/image {picture}", "word " * 3000, "and now?"]
    sent = []
    stream = Session.stream

    def noted(self, text, images, **options):
        sent.append(len(images))
        return stream(self, text, images, **options)

    monkeypatch.setattr(Session, "stream", noted)
    out = chatting(run, monkeypatch, "\n".join(lines).encode())
    assert sent == [0, 1, 0] and out.count("; or start a new conversation with /new") == 1


def test_an_interrupt_stops_an_answer_and_not_the_chat(run, monkeypatch):
    stream, count = Session.stream, itertools.count()

    def interrupted(self, *arguments, **options):
        for event in stream(self, *arguments, **options):
            yield event
            if next(count) == 0:
                raise KeyboardInterrupt

    monkeypatch.setattr(Session, "stream", interrupted)
    out = chatting(run, monkeypatch, b"hello\nand now?\n")
    assert out.count("! stopped") == 1 and out.splitlines()[-1] != "! stopped"


def test_numbers_that_are_none_are_one_line(run, capsys):
    for option, value in (("--guidance", "nan"), ("--temperature", "inf"), ("--steps", 1001)):
        code, out, err = run("draw", "a cat", option, value)
        assert code == 2 and not out and option.strip("-") in err and "Traceback" not in err
    assert "may look wrong" in run("draw", "a cat", "--size", 32, 32, *SHORT)[2]


def test_bench_times_every_verb(run, monkeypatch):
    monkeypatch.setattr(bench, "median_seconds", lambda name, verb, repeats: 0.25)
    seconds = json.loads(run("bench", "--json")[1])
    assert seconds.pop("load") > 0
    assert set(seconds.values()) == {0.25} and {"question", "picture", "edit"} <= set(seconds)
    lines = [line.split() for line in run("bench")[1].splitlines()]
    assert ["panorama", "question", "0.250"] in lines and len(lines) == 2 + len(seconds)


def test_info_counts(run, tiny_folder, capsys):
    assert main(["info", str(tiny_folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = found["modules"]
    assert rows[-1]["module"] == "total"
    assert rows[-1]["parameters"] == sum(row["parameters"] for row in rows[:-1])
    assert [mode["memory"] for mode in found["memory"]] == ["full", "24gb", "12gb", "cpu"]
    assert all(mode["answer"] > 0 and 0 < mode["draw"] < mode["budget"] for mode in found["memory"])


def test_a_folder_of_runs_is_not_taken_for_a_run(tmp_path, capsys):
    assert "is not a run: expected recipe.json" in mistake(capsys, "export", f"{tmp_path}@3", tmp_path / "out")


def test_verify_fails_with_1_and_train_takes_changes(tmp_path, capsys, monkeypatch):
    (tmp_path / "f_any_res.json").write_text("{}")
    assert main(["verify", str(tmp_path)]) == 1
    assert "FAIL" in capsys.readouterr().out

    called = []
    monkeypatch.setattr("seedx.train.run.run", lambda *arguments, **changes: called.append((arguments, changes)))
    assert main(["train", "a.toml", "--folder", str(tmp_path), "--set", "steps=10", "name=x"]) == 0
    ((recipe, folder, threads, accept), changes) = called[0]
    assert (str(recipe), folder, threads, accept) == ("a.toml", tmp_path, None, False)
    assert changes == {"steps": 10, "name": "x"}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["drow", "a cat"], "there is no verb 'drow': did you mean 'draw'?"),
        (["eval", "stikers"], "there is no verb 'eval stikers': did you mean 'eval stickers'?"),
        (["eval", "dogs"], "there is no verb 'eval dogs': choose from eval export, eval stickers"),
        (["eval", "--seed", "7"], "there is no verb 'eval --seed': choose from eval export, eval stickers"),
        (["draw", "a cat", "--model", "huge"], "unknown model 'huge'"),
        (["draw", "a cat", "--out", "cat.foo"], "must end in the name of an image format"),
        (["draw", "a cat", "--out", "cat.psd"], "must end in the name of an image format"),  # read, not written
        (["draw", "a cat", "--out", "nowhere/cat.png"], "there is no folder 'nowhere'"),
        (["chat", "--json"], "--json answers one prompt"),
        (["chat", " "], "the prompt is empty"),
        (["train", "none.toml"], "none.toml"),
        (["train", "."], ".: Is a directory"),
        (["plan", "."], ".: Is a directory"),
        (["train", "none.toml", "--set", "steps"], "name=value"),
        (["plot"], "at least one run"),
        (["plot", "nowhere"], "nowhere has no log.jsonl"),
        (["export", "nowhere", "out"], "'nowhere' is not a run"),
        (["convert", "nowhere", "folder", "--sizes", "huge"], "17b"),
        (["convert", "nowhere", "folder"], "'nowhere' is no folder"),
        (["convert", "nowhere", "folder", "--to", "release"], "unknown model 'nowhere'"),
        (["verify", "nowhere"], "'nowhere'"),
        (["info", "huge"], "unknown model 'huge'"),
        (["bench", "--repeats", "0"], "repeats must be at least 1, not 0"),
    ],
)
def test_a_mistake_is_one_line(arguments, problem, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert problem in mistake(capsys, *arguments)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["draw"], "PROMPT"),
        (["draw", "a cat", "--stpes", "3"], "--steps INT"),
        (["draw", "a cat", "--steps", "many"], "--steps"),
        (["draw", "a cat", "--steps", "0"], "steps must be at least 1, not 0"),
        (["chat", "hi", "--drawing", "maybe"], "'maybe'"),
        (["eval", "export", "mmbench", "file", "--out", "here"], "'mmbench'"),
        (["convert", "a", "b", "--to", "onnx"], "'onnx'"),
    ],
)
def test_options_that_cannot_be_read_are_shown_by_tyro_with_exit_code_2(arguments, problem, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert not out and problem in " ".join(err.split()) and f"seedx {arguments[0]}" in err and "Traceback" not in err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (SeedxError("two\nlines"), 2, "seedx: two lines\n"),
        (KeyboardInterrupt(), 130, "seedx: interrupted\n"),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_what_a_verb_raises_decides_the_exit_code(error, code, said, monkeypatch, capsys):
    monkeypatch.setattr("seedx.checkpoint.info.info", raising(error))
    monkeypatch.setattr(sys, "stdout", io.StringIO())  # a broken pipe closes it
    assert main(["info"]) == code
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("error", [ValueError("x"), OSError("x"), ImportError("x"), KeyError("x")])
def test_any_other_exception_is_a_bug_with_its_traceback(error, monkeypatch, capsys):
    monkeypatch.setattr("seedx.checkpoint.info.info", raising(error))
    assert main(["info"]) == 70
    *trace, last = capsys.readouterr().err.splitlines()
    assert trace[0].startswith("Traceback") and type(error).__name__ in trace[-1]
    assert last.startswith("seedx: this is a bug in seedx") and "the version, 0." in last


def raising(error):
    def raise_it(*arguments):
        raise error

    return raise_it


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("config.json", "config.json is not JSON"),
        ("vision.safetensors", "vision.safetensors is truncated"),
        ("tokenizer.json", "it is not in the format of tokenizers"),
    ],
)
def test_a_broken_file_of_a_model_is_one_line(name, problem, tiny_folder, tmp_path, capsys):
    shutil.copytree(tiny_folder, tmp_path / "model")
    (tmp_path / "model" / name).write_bytes((tiny_folder / name).read_bytes()[:100])
    assert problem in mistake(capsys, "draw", "a cat", "--out", tmp_path / "a.png", "--model", tmp_path / "model")


def test_files_that_cannot_be_written_are_one_line(run, picture, monkeypatch, tmp_path):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device", "drawing.png")

    (tmp_path / "work" / "file").write_text("")
    code, _, err = run("chat", "draw a cat", "--drawing", "force", "--out", "file/folder", *SHORT)
    assert (code, err.count("\n")) == (2, 1) and "file/folder" in err
    assert run("story", "a cat", "--out", "file")[2].endswith("'file' is a file: give the name of a folder\n")
    (tmp_path / "work" / "drawing.png").write_text("old")
    monkeypatch.setattr(Image.Image, "save", full)
    assert run("draw", "a cat", *SHORT)[::2] == (2, "seedx: drawing.png: No space left on device\n")
    assert (tmp_path / "work" / "drawing.png").read_text() == "old"  # it was written aside


def test_bad_pictures_are_one_line(capsys, tmp_path, tiny_folder, picture):
    (tmp_path / "notes.png").write_text("text")
    where = ["--model", tiny_folder]
    assert "not a picture" in mistake(capsys, "chat", "what?", "--images", tmp_path / "notes.png", *where)
    assert "does not exist" in mistake(capsys, "edit", tmp_path / "none.png", "add a hat", *where)
    assert "4,799 allowed" in mistake(capsys, "ground", picture, "cat", "--max-pixels", 4799, *where)
    assert "context" in mistake(capsys, "chat", "word " * 3000, *where)


def test_no_arguments_and_the_version(capsys):
    assert main([]) == 0 and capsys.readouterr().out == cli.overview(verbs()) + "\n"
    assert main(["--version"]) == 0 and capsys.readouterr().out.startswith("seedx 0.")


def test_what_the_terminal_can_not_show_does_not_end_a_verb(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    (tmp_path / "say.py").write_text(
        "import sys\nfrom seedx import cli\n"
        'def say() -> None:\n    """Say it."""\n    print(\'cut \\ud83d, \\xe9\')\n'
        "cli.VERBS['say'] = say\nsys.exit(cli.main(['say']))\n"
    )
    command = [sys.executable, str(tmp_path / "say.py")]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (shown.returncode, shown.stdout) == (0, "cut \\ud83d, \\xe9\n"), shown.stderr
