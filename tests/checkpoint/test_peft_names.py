"""Fine-tuned weights in peft's names: merged as peft merges, and written so that peft reads them."""

from __future__ import annotations

import shutil
from pathlib import Path

import peft
import pytest
import torch
from mock_release import MOCK, make, random_state
from torch import Tensor, nn
from transformers import LlamaForCausalLM

import seedx
from seedx.checkpoint import native
from seedx.checkpoint.convert import convert
from seedx.checkpoint.parts import build
from seedx.checkpoint.peft_names import Merged, from_peft, to_peft
from seedx.cli import main
from seedx.errors import SeedxError

LORA = peft.LoraConfig(
    r=4,
    lora_alpha=32,
    target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    modules_to_save=["embed_tokens", "lm_head", "input_layernorm", "post_attention_layernorm", "norm"],
    task_type="CAUSAL_LM",
)


@pytest.fixture(scope="module")
def tuned() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A Llama tuned by peft itself: its state dict, and that of the merged model."""
    torch.manual_seed(0)
    config = build(MOCK)[0].language.llm.config
    config._attn_implementation = "eager"
    model = peft.get_peft_model(LlamaForCausalLM(config), LORA)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    merged: nn.Module = model.merge_and_unload()
    return state, {name: tensor.clone() for name, tensor in merged.state_dict().items()}


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.allclose(ours[k], theirs[k], atol=1e-6) for k in theirs)


def test_merged_as_peft_merges(tuned: tuple[dict[str, Tensor], dict[str, Tensor]]) -> None:
    state, expected = tuned
    plain, updates = from_peft(state)
    assert len(updates) == 14 and same(dict(Merged(plain, updates)), expected)
    older = {name.replace(".base_layer.", "."): tensor for name, tensor in state.items()}  # peft before 0.6
    assert same(dict(Merged(*from_peft(older))), expected)


def test_a_fine_tuned_file_of_the_release_converts(
    tuned: tuple[dict[str, Tensor], dict[str, Tensor]], tmp_path: Path
) -> None:
    state, expected = tuned
    pretrained = make(tmp_path)
    agent = random_state("agent", 99) | {f"llm.{name}": tensor for name, tensor in state.items()}
    torch.save(agent, tmp_path / "pytorch_model.bin")
    file = str(tmp_path / "pytorch_model.bin")
    assert main(["convert", str(pretrained), str(tmp_path / "out"), "--variant", "seed_x_i", "--finetuned", file]) == 0
    model = native.load(tmp_path / "out")
    ours = model.seedx.language.llm.state_dict()
    assert torch.allclose(
        ours["model.layers.0.mlp.up_proj.weight"], expected["model.layers.0.mlp.up_proj.weight"], atol=1e-6
    )
    assert torch.equal(ours["model.norm.weight"], expected["model.norm.weight"])
    assert torch.equal(model.seedx.tile_positions, agent["patch_pos_embed"])
    shutil.rmtree(pretrained / "SEED-X-17B" / "seed_x_i" / "llm")  # the file holds the whole language model
    convert(pretrained, tmp_path / "again", variant="seed_x_i", finetuned=tmp_path / "pytorch_model.bin")
    again = native.load(tmp_path / "again").seedx.language.llm.state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in ours.items())


def test_lora_of_a_fine_tuned_file_can_be_kept_as_an_adapter(
    tuned: tuple[dict[str, Tensor], dict[str, Tensor]], tmp_path: Path
) -> None:
    state, expected = tuned
    pretrained = make(tmp_path)
    agent = random_state("agent", 99) | {f"llm.{name}": tensor for name, tensor in state.items()}
    torch.save(agent, tmp_path / "pytorch_model.bin")
    out, file = tmp_path / "out", str(tmp_path / "pytorch_model.bin")
    command = ["convert", str(pretrained), str(out), "--variant", "seed_x_i"]
    assert main([*command, "--finetuned", file, "--keep-adapter"]) == 0
    base = native.load(out).seedx.language.llm.state_dict()
    name = "model.layers.0.mlp.up_proj.weight"
    assert torch.equal(base[name], state["base_model.model.model.layers.0.mlp.up_proj.base_layer.weight"])
    assert torch.equal(base["model.norm.weight"], expected["model.norm.weight"])  # tuned in full: part of the model
    model = seedx.load(out, adapter=out / "adapters" / "finetuned")
    model.merge_adapter()
    merged = model.model.seedx.language.llm.state_dict()
    assert same(merged, expected)
    assert main(command) == 0 and (out / "adapters" / "finetuned" / "adapter_config.json").is_file()  # it stays
    assert main([*command, "--keep-adapter"]) == 2


def test_only_what_was_trained_needs_the_language_model(
    tuned: tuple[dict[str, Tensor], dict[str, Tensor]],
) -> None:
    state, _ = tuned
    trained = {name: t for name, t in state.items() if "lora_" in name or "modules_to_save" in name}
    plain, updates = from_peft(trained)
    with pytest.raises(SeedxError, match="which is not there; give the language model that was tuned"):
        Merged(plain, updates)
    del trained[next(name for name in trained if "lora_A" in name)]
    with pytest.raises(SeedxError, match="one half only"):
        from_peft(trained)


def test_peft_reads_what_we_write() -> None:
    config = build(MOCK)[0].language.llm.config
    config._attn_implementation = "eager"
    torch.manual_seed(1)
    llama = LlamaForCausalLM(config)
    written = to_peft(llama.state_dict(), rank=4)
    model = peft.get_peft_model(LlamaForCausalLM(config), LORA)
    model.load_state_dict(written)
    ids = torch.tensor([[1, 5, 9]])
    with torch.no_grad():
        assert torch.allclose(model.eval()(ids).logits, llama.eval()(ids).logits, atol=1e-6)


def test_there_and_back(tmp_path: Path) -> None:
    pretrained = make(tmp_path)
    convert(pretrained, tmp_path / "ours", variant="seed_x_i")
    assert main(["convert", str(tmp_path / "ours"), str(tmp_path / "peft"), "--to", "peft"]) == 0
    made = convert(tmp_path / "peft", tmp_path / "back", variant="seed_x_i")
    assert made.variant == "seed_x_i"
    for file in (tmp_path / "ours").glob("*.safetensors"):
        assert file.read_bytes() == (tmp_path / "back" / file.name).read_bytes(), file.name
