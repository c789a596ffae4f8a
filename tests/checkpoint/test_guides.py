"""The guides to the released weights do what they say: their commands run, in order, on a small copy of the release."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import mock_release
import mock_story
import PIL.Image
import pytest
import torch

from seedx.checkpoint import native
from seedx.cli import main

GUIDE = Path(__file__).parents[2] / "docs" / "guide"
ELSEWHERE = ("pip ", "hf ")  # what a guide has people do besides


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("guides")
    mock_release.make(root)
    return mock_story.make(root, shared=False)


def commands(page: str) -> list[tuple[str, str]]:
    """The shell commands and the Python blocks of a page, in order."""
    text = (GUIDE / page).read_text(encoding="utf-8").replace(" \\\n        ", " ")
    return re.findall(r"^    ((?:seedx|pip|hf) [^\n]*)|^```python\n(.*?)```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def place(pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the download and two pictures."""
    shutil.copytree(pretrained, tmp_path / "pretrained")
    for name, size in (("car.jpg", (60, 40)), ("other.jpg", (40, 40))):
        PIL.Image.linear_gradient("L").resize(size).convert("RGB").save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "made"),
    [
        ("seed-x-i.md", ["seed-x-i.json", "boxes.png", "snow.png", "seedx-1.png"]),
        ("seed-x-edit.md", ["again.png", "blue.png", "blue-1.png", "closer.png", "snow.png"]),
        ("release-files.md", ["again.png", "story/3.png", "long/3.png", "for-release/llm/config.json"]),
    ],
)
def test_every_command_of_a_guide_runs_as_written(place: Path, page: str, made: list[str]) -> None:
    found = commands(page)
    assert len(found) > 5
    for command, block in found:
        if block:
            exec(compile(block, page, "exec"), {"__name__": page})
        elif not command.startswith(ELSEWHERE):
            assert main(shlex.split(command, comments=True)[1:]) == 0, command
    assert all((place / name).is_file() for name in made)
    if page == "release-files.md":
        models = [native.load(place / "models" / name).seedx.state_dict() for name in ("seed-x-i", "again", "tuned")]
        for name, tensor in models[0].items():
            assert all(torch.equal(tensor, other[name]) for other in models[1:]), name
