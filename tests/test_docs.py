"""The documentation: its links lead somewhere, what it names exists, and the examples of CONTRIBUTING.md run."""

import ast
import importlib
import json
import random
import re
from pathlib import Path

import PIL.Image
import pytest
import torch

from seedx import __version__, cli, config
from seedx.checkpoint import info
from seedx.checkpoint.release import NAMES, from_release, to_release
from seedx.data import formats
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError
from seedx.deprecated import RENAMED
from seedx_stickers import tasks
from seedx_stickers.training import source

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def named(page):
    return str(page.relative_to(ROOT))


def anchors(page):
    """The anchors of a page's headings, as GitHub and the site make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if ":" in path:
            continue
        file = page if not path else page.parent / path
        assert file.exists(), f"{named(page)} links {target}"
        assert not anchor or anchor in anchors(file), f"{named(page)} links {target}"


@pytest.mark.parametrize("page", [p for p in PAGES if "::: " in p.read_text(encoding="utf-8")], ids=named)
def test_documented_objects_exist(page):
    for path in re.findall(r"^::: (\S+)", page.read_text(encoding="utf-8"), re.MULTILINE):
        try:
            importlib.import_module(path)
        except ModuleNotFoundError:
            module, _, name = path.rpartition(".")
            assert hasattr(importlib.import_module(module), name), f"{named(page)} documents {path}"


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/**/*.md")}
    assert pages == set(re.findall(r"(\S+\.md)$", navigation, re.MULTILINE))


def test_every_verb_is_in_the_reference():
    page = (ROOT / "docs" / "reference" / "verbs.md").read_text(encoding="utf-8")
    table = page.partition("| verb | does |")[2].partition("\n\n")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    listed = [f"{name} " for row in rows for name in re.findall(r"`([^`]+)`", row)]
    for verb in cli.verbs():
        assert any(name.startswith(f"{verb} ") for name in listed), f"docs/reference/verbs.md has no {verb}"


def test_old_names_are_in_the_reference():
    page = (ROOT / "docs" / "reference" / "recipe.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+)`.*? \| `(\w+)` \|$", page, re.MULTILINE))
    for kind in ("recipe", "stage options", "format options"):
        assert set(RENAMED[kind].items()) <= listed, kind


def example(name):
    """The code of one example of CONTRIBUTING.md, run."""
    (code,) = re.findall(rf"```python {name}\n(.*?)```", GUIDE, re.DOTALL)
    ast.parse(code)
    space = {"__name__": name}
    exec(compile(code, f"CONTRIBUTING.md ({name})", "exec"), space)
    return space


def test_the_example_of_a_task(monkeypatch):
    monkeypatch.setitem(tasks.KINDS, "largest", example("task")["largest"])
    for unseen in (False, True):
        made = tasks.sample(random.Random(0), "largest", unseen)
        first = max(made.scenes[0].stickers, key=lambda sticker: sticker.size)
        assert made.expected[0].text.split()[-1] == first.name.split()[-1]
        assert made.unseen is unseen
    assert source.tasks.mixture(random.Random(0), {"largest": 1.0}).kind == "largest"


def test_the_example_of_a_format(monkeypatch, tmp_path):
    monkeypatch.setitem(formats.FORMATS, "tags", example("format")["tags"])
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    record = Record("tags.jsonl:1", {"image": "a.png", "tags": ["a cat", "a hat"]}, str(tmp_path))
    drawn, read = (formats.get("tags", draw=draw)(record, random.Random(0)) for draw in (1.0, 0.0))
    assert drawn[0].content[0].text == "draw a cat, a hat" and read[1].content[0].text == "a cat, a hat"
    with pytest.raises(SampleError, match="tags"):
        formats.get("tags")(Record("tags.jsonl:2", {"image": "a.png"}, str(tmp_path)), random.Random(0))


def test_the_example_of_a_variant(monkeypatch):
    monkeypatch.setitem(config.PRESETS, "mini", config.TINY)  # taken back afterwards
    sizes = example("variant")["MINI"]
    assert config.from_dict(config.Config, json.loads(json.dumps(config.to_dict(sizes)))).language.layers == 2
    rows = {
        name: {row.module: row.parameters for row in info.info(name)}["language blocks"] for name in ("mini", "tiny")
    }
    assert rows["mini"] < rows["tiny"]


def test_the_example_of_names():
    try:
        example("names")
        ours = {"tile_positions": torch.zeros(2, 3)}
        theirs = to_release("agent_b", ours)
        assert list(theirs) == ["tile_embedding"] and from_release("agent_b", theirs) == ours
    finally:
        NAMES.pop("agent_b", None)


def test_the_example_of_a_verb(monkeypatch, capsys):
    monkeypatch.setitem(cli.VERBS, "palette", example("verb")["palette"])
    picture = str(ROOT / "examples" / "meadow.png")
    assert cli.main(["palette", picture, "--colours", "2"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 2 and all(re.fullmatch(r"#[0-9a-f]{6} \d+%", line) for line in shown)
    assert cli.main(["palette", picture, "--colours", "0"]) == 2
    assert "at least 1, not 0" in capsys.readouterr().err


def test_the_supported_python_is_the_same_everywhere():
    project, makefile, workflow = (
        (ROOT / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "Makefile", ".github/workflows/ci.yml")
    )
    (minor,) = re.findall(r'requires-python = ">=3\.(\d+)"', project)
    assert f"(3, {minor})" in makefile and f'python: ["3.{minor}", ' in workflow
    for name in ("Makefile", "README.md", "CONTRIBUTING.md", "docs/reference/versions.md"):
        assert f"Python 3.{minor} or later" in (ROOT / name).read_text(encoding="utf-8"), name


def test_versions_agree():
    versions = {
        "pyproject.toml": r'^version = "(.*)"$',
        "CITATION.cff": r"^version: (.*)$",
        "CHANGELOG.md": r"^## \[(.*?)\]",
    }
    found = {re.search(p, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)[1] for name, p in versions.items()}
    assert found == {__version__}


def test_the_tests_that_the_page_on_security_names_exist():
    page = (ROOT / "docs" / "reference" / "security.md").read_text(encoding="utf-8")
    files = {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py")}
    file, named = "", []
    for cell, name in re.findall(r"`(test_\w+\.py)?(?:::(test_\w+))?`", page):
        file = cell or file
        if cell or name:
            named.append((file, name))
    assert len(named) > 60
    assert [(file, name) for file, name in named if f"def {name}" not in files.get(file, "")] == []
