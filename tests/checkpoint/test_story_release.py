"""SEED-Story's download converts: from peft's names, at any size, and beside SEED-X's."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import mock_release
import mock_story
import pytest
import torch
from mock_story import ADDED, STORY, tuned

from seedx import config, tokenizer
from seedx.checkpoint import native, sizes
from seedx.checkpoint.convert import convert
from seedx.checkpoint.parts import build, part_state
from seedx.checkpoint.release import from_release, to_release
from seedx.cli import main
from seedx.config import LanguageConfig, VisionConfig
from seedx.errors import SeedxError


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mock_story.make(tmp_path_factory.mktemp("story"))


def has_the_weights(folder: Path) -> None:
    model = native.load(folder)
    expected = from_release("llm", tuned())
    for name, tensor in model.seedx.language.state_dict().items():
        assert torch.allclose(tensor, expected[name], atol=1e-6), name
    agent = mock_story.resamplers()
    assert torch.equal(model.seedx.output_resampler.query, agent["output_resampler.query"])
    adapted = mock_release.random_state("first_stage", 41, STORY)
    assert torch.equal(model.detokenizer.resampler.latents, adapted["resampler.latents"])


def test_one_command_converts_it(
    pretrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["convert", str(pretrained), str(tmp_path / "story"), "--variant", "seed_story"]) == 0
    assert 'story "TEXT" --image IMAGE --model' in capsys.readouterr().out
    has_the_weights(tmp_path / "story")
    made = config.to_dict(native.read_config(tmp_path / "story"))
    expected = config.to_dict(dataclasses.replace(STORY, name="seed_story", variant="seed_story"))
    assert json.loads(json.dumps(made)) == json.loads(json.dumps(expected))
    assert tokenizer.load(tmp_path / "story").specials.patch_start is None


def test_a_file_with_all_weights_needs_the_config_of_its_base_alone(tmp_path: Path) -> None:
    top = mock_story.make(tmp_path, whole=True)
    convert(top, tmp_path / "story")  # the only model that is here
    has_the_weights(tmp_path / "story")


def test_lora_without_what_it_was_trained_on_says_what_is_missing(pretrained: Path, tmp_path: Path) -> None:
    top = Path(shutil.copytree(pretrained, tmp_path / "pretrained"))
    for file in (top / "Llama-2-7b-hf").glob("pytorch_model*"):
        file.unlink()
    with pytest.raises(SeedxError, match=r"language model before it .* holds no weights"):
        convert(top, tmp_path / "out", variant="seed_story")
    shutil.rmtree(top / "Llama-2-7b-hf")
    with pytest.raises(SeedxError, match=r"no language model before it .*: get it from meta-llama/Llama-2-7b-hf"):
        convert(top, tmp_path / "out", variant="seed_story")
    shutil.rmtree(top / "SEED-Story" / "detokenizer" / "detokenizer_george_adapted")
    assert main(["convert", str(top), "--dry-run", "--variant", "seed_story"]) == 1


def test_beside_the_release_of_seed_x_each_takes_its_own_parts(tmp_path: Path) -> None:
    mock_release.make(tmp_path)
    top = mock_story.make(tmp_path, shared=False)
    shutil.copytree(tmp_path / "pretrained" / "SEED-X-17B" / "Qwen-VL-Chat", top / "Qwen-VL-Chat")  # a second copy
    convert(top, tmp_path / "models" / "story", variant="seed_story")
    has_the_weights(tmp_path / "models" / "story")
    made = convert(top, tmp_path / "models" / "seed_x_i", variant="seed_x_i")
    assert set(made.linked) == {"vae", "vision"}
    assert tokenizer.load(tmp_path / "models" / "seed_x_i").specials.patch_start is not None
    first = mock_release.random_state("first_stage", 30)["resampler.latents"]
    assert torch.equal(native.load(tmp_path / "models" / "seed_x_i").detokenizer.resampler.latents, first)


def test_the_way_back(pretrained: Path, tmp_path: Path) -> None:
    convert(pretrained, tmp_path / "story", variant="seed_story")
    for to in ("release", "peft"):
        assert main(["convert", str(tmp_path / "story"), str(tmp_path / to), "--to", to]) == 0
        assert main(["convert", str(tmp_path / to), str(tmp_path / "again"), "--variant", "seed_story"]) == 0
        has_the_weights(tmp_path / "again")


def test_the_released_sizes_follow_from_the_files() -> None:
    """32,000 + 66 tokens, 64 queries, 256 features; 32 heads without any config beside the weights."""
    real = dataclasses.replace(
        STORY,
        vision=dataclasses.replace(VisionConfig(layers=1), pool=1),
        language=LanguageConfig(32066, 4096, 11008, 2, 32),
        bridge=dataclasses.replace(STORY.bridge, queries=64),
        tiling=dataclasses.replace(STORY.tiling, tile=448),
    )
    seedx, detokenizer = build(real)
    modules = {"visual_encoder": seedx.vision, "llm": seedx.language}
    official = {part: to_release(part, part_state(part, module)) for part, module in modules.items()}
    official["agent"] = to_release("agent", part_state("bridge", seedx))
    official["first_stage"] = to_release("first_stage", part_state("detokenizer", detokenizer))
    ids = {token: 32000 - 520 + i for token, i in ADDED.items()} | {"<s>": 1, "</s>": 2, "<unk>": 0}
    specials = tokenizer.special_tokens(ids, bos="<s>", eos="</s>", pad="<unk>")
    found = sizes.sizes_of(official, {}, specials, "seed_story", condition=False)
    assert found.language == dataclasses.replace(real.language, lora=found.language.lora)
    assert (found.vision, found.tiling) == (real.vision, real.tiling)
    assert (found.bridge.queries, found.bridge.tile_positions, found.vision.pooled) == (64, False, 256)
    assert (found.bridge.input_heads, found.bridge.output_heads) == (32, 32)
