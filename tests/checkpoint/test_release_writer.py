"""A model folder in the release's layout, and back."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from transformers import LlamaForCausalLM

from seedx import tokenizer
from seedx.checkpoint import native
from seedx.checkpoint.convert import convert
from seedx.checkpoint.parts import Model, part_state
from seedx.checkpoint.release import to_release
from seedx.checkpoint.release_writer import write_release
from seedx.cli import main
from seedx.config import Config
from seedx.errors import SeedxError
from seedx.model.detokenizer import Detokenizer
from seedx.model.seedx import SeedX
from small import SMALL, TOKENIZER


def saved(config: Config, folder: Path) -> Path:
    torch.manual_seed(0)
    detokenizer = Detokenizer(config.detokenizer, config.vision.output_dim)
    native.save(Model(config, SeedX(config), detokenizer, tokenizer.load(TOKENIZER)), folder)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return saved(SMALL, tmp_path / "model")


def test_there_and_back_is_the_same_model(model: Path, tmp_path: Path) -> None:
    sizes: dict[str, int] = {}
    write_release(model, tmp_path / "release", progress=lambda part, n: sizes.update({part: sizes.get(part, 0) + n}))
    convert(tmp_path / "release", tmp_path / "back", SMALL)
    names = sorted(file.name for file in model.iterdir())
    assert [*names, "converted.json"] == sorted(
        (file.name for file in (tmp_path / "back").iterdir()), key=lambda name: (name == "converted.json", name)
    )
    for name in names:
        if name.endswith(".safetensors"):
            before, after = load_file(model / name), load_file(tmp_path / "back" / name)
            assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before), name
            assert sizes[name.removesuffix(".safetensors")] == sum(tensor.nbytes for tensor in before.values())
        else:
            assert (model / name).read_bytes() == (tmp_path / "back" / name).read_bytes(), name


def test_the_files_are_those_of_the_release_and_of_the_libraries_that_read_them(model: Path, tmp_path: Path) -> None:
    write_release(model, tmp_path / "release")
    files = {str(f.relative_to(tmp_path / "release")) for f in (tmp_path / "release").rglob("*") if f.is_file()}
    assert {
        "qwen_vit_G.pt",
        "agent/pytorch_model.bin",
        "llm/config.json",
        "llm/model.safetensors",
        "seed_detokenizer/second_stage/pytorch_model.bin",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
        "tokenizer/tokenizer.model",
    } <= files
    ours = native.load(model)
    state = torch.load(tmp_path / "release" / "agent" / "pytorch_model.bin", weights_only=True)
    assert state.keys() == to_release("agent", part_state("bridge", ours.seedx)).keys()
    llama = LlamaForCausalLM.from_pretrained(tmp_path / "release" / "llm")
    ids = torch.tensor([[1, 5, 9]])
    with torch.no_grad():
        states = ours.seedx.language.states(ours.seedx.language.embed(ids), torch.arange(3)[None])
        assert torch.allclose(llama.eval()(ids).logits, ours.seedx.language.head(states), atol=1e-5)
    vae = AutoencoderKL.from_pretrained(tmp_path / "release" / "vae").state_dict()
    assert all(torch.equal(vae[name], tensor) for name, tensor in ours.detokenizer.vae.model.state_dict().items())


def test_a_model_without_condition_is_the_first_stage_and_tied_embeddings_stay_tied(tmp_path: Path) -> None:
    config = dataclasses.replace(
        SMALL,
        language=dataclasses.replace(SMALL.language, tie_embeddings=True),
        detokenizer=dataclasses.replace(SMALL.detokenizer, condition=False),
    )
    saved(config, tmp_path / "model")
    write_release(tmp_path / "model", tmp_path / "release")
    assert [f.name for f in (tmp_path / "release" / "seed_detokenizer").iterdir()] == ["first_stage"]
    convert(tmp_path / "release", tmp_path / "back", config)
    before, after = (load_file(tmp_path / name / "language.safetensors") for name in ("model", "back"))
    assert before.keys() == after.keys()


def test_the_verb_converts_both_ways_in_another_precision(model: Path, tmp_path: Path, capsys) -> None:
    release, back, sizes = tmp_path / "release", tmp_path / "back", str(model / "config.json")
    assert main(["convert", str(model), str(release), "--to", "release", "--dtype", "bfloat16"]) == 0
    assert main(["convert", str(release), str(back), "--sizes", sizes]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{release}: in the layout of the release" and second == f"{back}: try `seedx chat --model {back}`"
    after = load_file(back / "language.safetensors")
    assert all(torch.equal(t.bfloat16(), after[name]) for name, t in load_file(model / "language.safetensors").items())


def test_what_is_in_the_way_or_missing_is_an_error(model: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(SeedxError, match="not empty"):
        write_release(model, tmp_path / "full")
    (model / "bridge.safetensors").unlink()
    with pytest.raises(SeedxError, match=r"bridge\.safetensors"):
        write_release(model, tmp_path / "release")
    assert not (tmp_path / "release").exists()
