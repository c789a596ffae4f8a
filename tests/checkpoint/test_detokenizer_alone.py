"""A download of the visual tokenizer and the de-tokenizer alone: it reconstructs, and says that it can't chat."""

from __future__ import annotations

import shutil
from pathlib import Path

import PIL.Image
import pytest
import torch
from mock_release import MODELS, TOKENIZER_NAME, make

from seedx.checkpoint import native
from seedx.checkpoint.convert import convert
from seedx.checkpoint.info import info
from seedx.cli import main
from seedx.errors import SeedxError
from seedx.inference import pipeline

ABSENT = "a visual tokenizer and a de-tokenizer alone: it can only reconstruct pictures"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release without any model, and one that is whole for comparison."""
    root = tmp_path_factory.mktemp("alone")
    pretrained = make(root)
    convert(pretrained, root / "seed_x", variant="seed_x")
    for name in (*MODELS, TOKENIZER_NAME):
        shutil.rmtree(pretrained / "SEED-X-17B" / name)
    PIL.Image.linear_gradient("L").resize((40, 30)).convert("RGB").save(root / "cat.png")
    assert main(["convert", str(pretrained), str(root / "alone"), "--variant", "detokenizer"]) == 0
    return root


def test_it_reconstructs_what_the_whole_model_reconstructs(root: Path, tmp_path: Path) -> None:
    alone, whole, picture = (pipeline.load(root / "alone"), pipeline.load(root / "seed_x"), root / "cat.png")
    for condition in (None, picture):
        mine, other = (model.reconstruct(picture, condition, seed=3, steps=2) for model in (alone, whole))
        assert mine.tobytes() == other.tobytes()
    given = ["reconstruct", str(picture), "--model", str(root / "alone"), "--out", str(tmp_path / "a.png")]
    assert main([*given, "--steps", "1"]) == 0
    assert not any((root / "alone").glob("language*")) and not any((root / "alone").glob("tokenizer*"))


def test_every_other_verb_says_that_there_is_no_language_model(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, where = str(root / "cat.png"), ["--model", str(root / "alone")]
    out = ["--out", str(tmp_path / "a.png")]
    for command in (
        ["chat", "What is this?"],
        ["chat", "What is this?", "--images", picture],
        ["caption", picture],
        ["draw", "a cat", *out],
        ["edit", picture, "a hat", *out],
        ["ground", picture, "a cat"],
        ["story", "a cat"],
        ["slide", "a cat"],
    ):
        assert main([*command, *where]) == 2, command
        assert ABSENT in capsys.readouterr().err, command
    with pytest.raises(SeedxError, match=ABSENT):
        pipeline.load(root / "alone").session().send("hello")
    assert main(["convert", str(root / "alone"), str(tmp_path / "back"), "--to", "release"]) == 2
    assert "has no language model" in capsys.readouterr().err


def test_it_is_counted_checked_and_saved_without_one(root: Path, tmp_path: Path) -> None:
    counts = {row.module: row.parameters for row in info(root / "alone")}
    assert counts["language blocks"] == counts["input resampler"] == 0 < counts["visual tokenizer"]
    assert main(["verify", "--model", str(root / "alone"), "--steps", "1"]) == 0
    model = native.load(root / "alone")
    native.save(model, tmp_path / "again")
    again = native.load(tmp_path / "again")
    assert torch.equal(again.stage(True).resampler.latents, model.stage(True).resampler.latents)
    assert torch.equal(again.seedx.vision.proj, model.seedx.vision.proj)


def test_either_stage_will_do_and_nothing_else_is_a_model(root: Path, tmp_path: Path) -> None:
    top = Path(shutil.copytree(root / "pretrained", tmp_path / "pretrained"))
    shutil.rmtree(top / "SEED-X-17B" / "seed_detokenizer" / "first_stage")
    assert convert(top, tmp_path / "out").variant == "detokenizer"  # the only model that is here
    assert native.read_config(tmp_path / "out").detokenizer.condition
    shutil.rmtree(top / "SEED-X-17B" / "seed_detokenizer" / "second_stage")
    with pytest.raises(SeedxError, match=r"no de-tokenizer, .* get it from AILab-CVC/seed-x-17b-de-tokenizer"):
        convert(top, tmp_path / "out", variant="detokenizer")
