"""The library works without the package `seedx_stickers`: `import seedx`, and every verb on a model folder."""

import contextlib
import io
import json
import os
import shutil
import sys
import traceback
from pathlib import Path

import pytest

import processes

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"

pytestmark = pytest.mark.slow

RECIPE = """
name = "tune"
stage = "language"
steps = 2
global_batch_size = 2
streams = 2

[[data]]
source = "{data}"
format = "messages"
"""
WORKING = (
    *("help", "chat", "draw", "edit", "ground", "reconstruct", "story"),
    *("info", "preset", "verify", "bench", "train", "plan"),
)
SHORT = ("--max-new-tokens", "40", "--steps", "1")


def commands(model: Path, folder: Path) -> dict[str, list[str]]:
    """Every verb, by what it does here; files are written to `folder`."""
    picture, use = str(EXAMPLES / "meadow.png"), ("--model", str(model))
    messages = [
        {
            "role": "user",
            "content": [{"type": "image", "image": "meadow.png"}, {"type": "text", "text": "what is there?"}],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "a cat"}]},
    ]
    (folder / "data.jsonl").write_text((json.dumps({"messages": messages}) + "\n") * 8)
    shutil.copy(picture, folder)
    (folder / "recipe.toml").write_text(RECIPE.format(data=folder / "data.jsonl"))
    (folder / "golden").mkdir()
    for suffix in (".json", ".safetensors"):
        shutil.copy(ROOT / "tests/golden" / f"b_resampler{suffix}", folder / "golden")
    return {
        "help": ["--help"],
        "chat": ["chat", "what is there?", "--images", picture, "--json", "--out", str(folder), *use, *SHORT],
        "draw": ["draw", "a cat", "--out", str(folder / "draw.png"), *use, *SHORT],
        "edit": ["edit", picture, "a hat", "--out", str(folder / "edit.png"), *use, *SHORT],
        "ground": ["ground", picture, "the cat", "--json", *use, *SHORT],
        "reconstruct": ["reconstruct", picture, "--out", str(folder / "reconstruct.png"), *use, "--steps", "1"],
        "story": ["story", "a cat", "--frames", "1", "--out", str(folder / "story"), *use, *SHORT],
        "info": ["info", str(model)],
        "preset": ["info", "tiny"],
        "verify": ["verify", str(folder / "golden")],
        "bench": ["bench", "--repeats", "1", "--json", *use],
        "train": ["train", str(folder / "recipe.toml"), "--folder", str(model), "--dry-run"],
        "plan": ["plan", str(folder / "recipe.toml"), "--gpus", "1", "--json"],
        # A random model writes no slide, and the folder is no release: the errors of the verbs themselves.
        "slide": ["slide", "cats", "--out", str(folder / "slide.json"), *use, *SHORT],
        "convert": ["convert", str(folder), str(folder / "converted")],
        "demo": ["demo"],
        "eval": ["eval", "stickers", *use],
    }


class Hidden:
    """Finds no `seedx_stickers`."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "seedx_stickers":
            raise ModuleNotFoundError(f"No module named {name!r}", name="seedx_stickers")


def run_commands(folder: Path) -> None:
    """What a process does that can't import the package: the commands of a file, and `seedx.load("tiny")`."""
    sys.meta_path.insert(0, Hidden())
    os.chdir(folder)
    import seedx
    import seedx.cli
    from seedx.errors import SeedxError

    results = {}
    for name, command in json.loads(Path("commands.json").read_text()).items():
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = seedx.cli.main(command)
            except SystemExit as stop:
                code = stop.code
            except Exception:
                traceback.print_exc()
                code = None
        results[name] = [code, out.getvalue(), err.getvalue()]
    try:
        seedx.load("tiny")
    except SeedxError as error:
        results["load"] = [2, "", str(error)]
    imported = sorted(name for name in sys.modules if name.split(".")[0] == "seedx_stickers")
    Path("results.json").write_text(json.dumps({"results": results, "imported": imported}))


@pytest.fixture(scope="module")
def outcome(tiny_folder, tmp_path_factory):
    """The results of all commands, {name: (exit code, stdout, stderr)}, and the imported modules of the package."""
    folder = tmp_path_factory.mktemp("without")
    model = Path(shutil.copytree(tiny_folder, folder / "model"))
    (folder / "commands.json").write_text(json.dumps(commands(model, folder)))
    assert processes.run(run_commands, (folder,)) == [0]
    return json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize("name", WORKING)
def test_a_verb_works(outcome, name):
    code, out, err = outcome["results"][name]
    assert code == 0, err
    assert out


@pytest.mark.parametrize(("name", "words"), [("slide", "this slide"), ("convert", "no folder with agent/")])
def test_a_verb_fails_only_by_itself(outcome, name, words):
    code, _, err = outcome["results"][name]
    assert code == 2 and words in err and "stickers" not in err


@pytest.mark.parametrize("name", ["demo", "eval", "load"])
def test_what_needs_the_package_is_an_error_that_says_so(outcome, name):
    code, _, err = outcome["results"][name]
    assert code == 2 and "needs the package 'seedx_stickers', which is not installed" in err
    assert len(err.strip().splitlines()) == 1


def test_the_package_was_never_imported(outcome):
    assert outcome["imported"] == []
