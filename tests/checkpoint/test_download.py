"""Any download converts: the whole tree of the release, and what goes wrong with downloads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from mock_release import LFS, MOCK, MODELS, TOKENIZER_NAME, make, random_state

from seedx import config
from seedx.checkpoint import native
from seedx.checkpoint.convert import convert
from seedx.checkpoint.release import from_release
from seedx.cli import main
from seedx.config import Config
from seedx.errors import SeedxError
from seedx.inference import pipeline


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("release"))


@pytest.fixture
def pretrained(whole: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(whole, tmp_path / "pretrained"))


@pytest.fixture(scope="session")
def models(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each model converted by one command."""
    folder = tmp_path_factory.mktemp("models")
    for name in MODELS:
        assert main(["convert", str(whole), str(folder / name), "--variant", name]) == 0
    return folder


def as_json(sizes: Config) -> object:
    values = json.loads(json.dumps(config.to_dict(sizes)))
    values.pop("name")
    values.pop("variant")
    values["language"].pop("lora")
    values["detokenizer"].pop("condition")
    return values


@pytest.mark.parametrize("name", MODELS)
def test_each_model_has_its_own_weights_its_sizes_and_both_stages(models: Path, name: str) -> None:
    model, number = native.load(models / name), MODELS.index(name)
    assert as_json(model.config) == as_json(MOCK)
    assert model.config.name == model.config.variant == name and model.config.detokenizer.condition is (
        name == "seed_x_edit"
    )
    expected = from_release("agent", random_state("agent", 10 + number))
    assert torch.equal(model.seedx.tile_positions, expected["tile_positions"])
    head = from_release("llm", random_state("llm", 20 + number))["llm.lm_head.weight"]
    assert torch.equal(model.seedx.language.llm.lm_head.weight, head)
    visual = from_release("visual_encoder", random_state("visual_encoder", 1))
    assert torch.equal(model.seedx.vision.proj, visual["proj"])
    vae = from_release("vae", random_state("vae", 2))
    assert torch.equal(model.detokenizer.vae.state_dict()["model.quant_conv.weight"], vae["model.quant_conv.weight"])
    for condition, stage in enumerate(("first_stage", "second_stage")):
        official = random_state(stage, 30 + condition)
        assert torch.equal(model.stage(bool(condition)).resampler.latents, official["resampler.latents"])
        assert torch.equal(model.stage(bool(condition)).unet.conv_in.weight, official["unet.conv_in.weight"])


@pytest.mark.parametrize("name", MODELS)
def test_each_model_answers_a_question_and_draws(models: Path, name: str) -> None:
    import PIL.Image

    model = pipeline.load(models / name)
    picture = PIL.Image.new("RGB", (40, 30), "red")
    assert isinstance(model.chat("What is this?", picture, max_new_tokens=3).text, str)
    assert model.draw("a cat", max_new_tokens=10, steps=1).size == (16, 16)


def test_a_model_with_one_stage_says_what_it_lacks_and_keeps_both_when_saved(models: Path, tmp_path: Path) -> None:
    model = native.load(models / "seed_x_edit")
    native.save(model, tmp_path / "both")
    again = native.load(tmp_path / "both")
    assert torch.equal(again.stage(False).resampler.latents, model.stage(False).resampler.latents)
    model.load_other_stage, model._other = None, None
    native.save(model, tmp_path / "one")
    with pytest.raises(SeedxError, match="this model has no first stage; convert it again"):
        native.load(tmp_path / "one").stage(False)


def test_what_models_share_is_stored_once(models: Path, whole: Path, tmp_path: Path) -> None:
    inodes = [(models / name / file).stat().st_ino for name in MODELS for file in ("vision.safetensors",)]
    assert len(set(inodes)) == 1
    first = models / "seed_x" / "detokenizer.safetensors"  # the edit model has the same weights as its other stage
    assert first.stat().st_ino == (models / "seed_x_edit" / "first_stage.safetensors").stat().st_ino
    own = [(models / name / "language.safetensors").stat().st_ino for name in MODELS]
    assert len(set(own)) == 3
    half = convert(whole, models / "half", dtype=torch.float16, variant="seed_x")
    assert half.linked == ()  # another precision
    shutil.rmtree(models / "half")
    alone = convert(whole, tmp_path / "elsewhere" / "seed_x", variant="seed_x")
    assert alone.linked == ()


def test_copies_where_there_are_no_hard_links(
    models: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr("os.link", refused)
    convert(whole, tmp_path / "one", variant="seed_x")
    made = convert(whole, tmp_path / "two", variant="seed_x")
    assert made.linked == ("vae", "vision", "detokenizer", "second_stage")
    for file in (tmp_path / "one").glob("*.safetensors"):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_several_models_are_a_choice_and_one_is_none(pretrained: Path, tmp_path: Path) -> None:
    with pytest.raises(SeedxError, match="several models: choose by --variant from seed_x, seed_x_edit, seed_x_i"):
        convert(pretrained, tmp_path / "out")
    release = pretrained / "SEED-X-17B"
    shutil.rmtree(release / "seed_x")
    with pytest.raises(
        SeedxError, match=r"no seed_x; it has seed_x_edit, seed_x_i\. Get it from AILab-CVC/seed-x-17b-pr"
    ):
        convert(pretrained, tmp_path / "out", variant="seed_x")
    shutil.rmtree(release / "seed_x_edit")
    assert convert(pretrained, tmp_path / "out").variant == "seed_x_i"
    (release / "seed_x_i").rename(release / "mine")
    with pytest.raises(SeedxError, match="give --variant"):
        convert(pretrained, tmp_path / "out")
    assert convert(pretrained, tmp_path / "out", variant="seed_x_edit").variant == "seed_x_edit"


def test_the_repository_of_one_model_beside_the_rest(pretrained: Path, tmp_path: Path) -> None:
    release = pretrained / "SEED-X-17B"
    (release / "seed_x_i").rename(pretrained / "seed-x-17b-instruct")
    assert convert(pretrained, tmp_path / "out", variant="seed_x_i").variant == "seed_x_i"


def test_dry_run_lists_what_was_found(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(whole), "--dry-run", "--variant", "seed_x_edit"]) == 0
    out = capsys.readouterr().out
    assert "seed_x_edit/agent" in out and "Qwen-VL-Chat" in out and TOKENIZER_NAME in out
    assert out.splitlines()[-1] == "seed_x_edit: everything needed is here"


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("Qwen-VL-Chat", "visual tokenizer .* get it from Qwen/Qwen-VL-Chat"),
        ("seed_x_i/agent", "resamplers and tile positions .* get it from AILab-CVC/seed-x-17b-instruct"),
        ("seed_x_i/llm", "language model .* get it from AILab-CVC/seed-x-17b-instruct"),
        ("seed_detokenizer/first_stage", "first stage: get it from AILab-CVC/seed-x-17b-de-tokenizer"),
        ("stable-diffusion-xl-base-1.0/vae", "autoencoder .* get it from stabilityai/stable-diffusion-xl-base-1.0"),
        (TOKENIZER_NAME, "tokenizer .* get it from AILab-CVC/SEED-X-17B"),
    ],
)
def test_a_missing_part_is_named_with_where_to_get_it(
    pretrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str, message: str
) -> None:
    shutil.rmtree(pretrained / "SEED-X-17B" / part)
    with pytest.raises(SeedxError, match=f"no .*{message}"):
        convert(pretrained, tmp_path / "out", variant="seed_x_i")
    assert main(["convert", str(pretrained), "--dry-run", "--variant", "seed_x_i"]) == 1
    assert "missing: get it from" in capsys.readouterr().out and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("file", "size", "message"),
    [
        ("seed_x_i/agent/pytorch_model.bin", None, "pytorch_model.bin is a Git LFS pointer"),
        ("seed_x_i/llm/model-00001-of-00002.safetensors", None, "00001-of-00002.safetensors is a Git LFS pointer"),
        ("seed_x_i/llm/model-00002-of-00002.safetensors", 0.5, "00002-of-00002.safetensors is truncated: .* of"),
        ("seed_x_i/llm/model-00002-of-00002.safetensors", 0.01, "is truncated within its header"),
        ("Qwen-VL-Chat/pytorch_model-00001-of-00002.bin", 0.9, "pytorch_model-00001-of-00002.bin is truncated"),
        ("seed_detokenizer/first_stage/pytorch_model.bin", 0, "first_stage/pytorch_model.bin is empty"),
        (f"{TOKENIZER_NAME}/tokenizer.model", None, "tokenizer.model is a Git LFS pointer"),
    ],
)
def test_half_done_downloads_are_named(
    pretrained: Path, tmp_path: Path, file: str, size: float | None, message: str
) -> None:
    broken = pretrained / "SEED-X-17B" / file
    if size is None:
        broken.write_text(LFS)
    else:
        broken.write_bytes(broken.read_bytes()[: int(size * broken.stat().st_size)])
    with pytest.raises(SeedxError, match=message):
        convert(pretrained, tmp_path / "out", variant="seed_x_i")


def test_what_is_damaged_and_not_needed_is_left_out(
    pretrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pretrained / "SEED-X-17B" / "seed_detokenizer" / "second_stage" / "pytorch_model.bin").write_text(LFS)
    assert main(["convert", str(pretrained), str(tmp_path / "out"), "--variant", "seed_x_i"]) == 0
    assert "second_stage/pytorch_model.bin is a Git LFS pointer" in capsys.readouterr().err
    assert not native.load(tmp_path / "out").has_stage(True)
    with pytest.raises(SeedxError, match=r"second stage: .* is a Git LFS pointer"):
        convert(pretrained, tmp_path / "edit", variant="seed_x_edit")


def test_a_missing_shard_is_named(pretrained: Path, tmp_path: Path) -> None:
    (pretrained / "SEED-X-17B" / "seed_x_i" / "llm" / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(SeedxError, match=r"lists model-00002-of-00002\.safetensors, which is not there"):
        convert(pretrained, tmp_path / "out", variant="seed_x_i")


def test_a_folder_of_other_things(tmp_path: Path) -> None:
    with pytest.raises(SeedxError, match="is no folder"):
        convert(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(SeedxError, match="no folder with agent/ and llm/"):
        convert(tmp_path, tmp_path / "out")
    with pytest.raises(SeedxError, match="unknown variant 'seed_y': choose from seed_x, seed_x_i, seed_x_edit"):
        convert(tmp_path, tmp_path / "out", variant="seed_y")
