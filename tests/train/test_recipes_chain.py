"""The recipes of the released model start from base parts and from each other: every tensor from where it should."""

import dataclasses
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from seedx.checkpoint import native
from seedx.checkpoint.base import compose
from seedx.checkpoint.base.compose import Places
from seedx.errors import SeedxError
from seedx.train.planning.describe import describe
from seedx.train.recipe import load_recipe
from seedx.train.run import build, copy_other_parts

sys.path.append(str(Path(__file__).parents[1] / "checkpoint"))
import base_parts

RECIPES = Path(__file__).parents[2] / "recipes" / "17b"
CHAIN = ("1-detokenizer", "2-condition", "3-pretrain", "4-instruct")


def recipe_of(name, root):
    """A recipe as it is, but for the root of its folders and its data."""
    recipe = load_recipe(RECIPES / f"{name}.toml")
    changed = recipe.init_from.replace("runs/17b", str(root))
    return dataclasses.replace(recipe, init_from=changed, max_seq_len=64)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The folders of a chain, each written by its stage without a step of training but with other weights."""
    root = tmp_path_factory.mktemp("17b")
    parts = base_parts.make(root / "parts")
    places = Places(str(parts / "llama"), str(parts / "qwen"), str(parts / "sdxl"))
    compose.init(root / "base", places, variant="seed_x_i")
    for name in CHAIN:
        recipe = recipe_of(name, root)
        stage = build(recipe, root / name)
        with torch.no_grad():
            for parameter in stage.model.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.01 * int(name[0]))
        stage.save(stage.model, root / name)
        copy_other_parts(recipe, root / name)
    return root


def same(parameters, folder, part, prefix, absent=()):
    """Whether a stage's tensors of a part are bit-equal to a file's, all of them, adapters apart."""
    stored = load_file(folder / f"{part}.safetensors")
    own = {name.removeprefix(prefix): tensor for name, tensor in parameters.items() if name.startswith(prefix)}
    own = {name.replace(".base_layer.", "."): tensor for name, tensor in own.items() if ".lora_" not in name}
    compared = {name for name in stored if not name.startswith(absent)} if absent else set(stored)
    assert compared <= own.keys() if not prefix else compared == own.keys()  # nothing is from elsewhere
    return all(torch.equal(own[name], stored[name]) for name in compared)


def test_the_first_stage_starts_from_the_base_parts(root):
    model = build(recipe_of("1-detokenizer", root), root / "new").model
    state = model.state_dict()
    assert same(state, root / "base", "detokenizer", "") and same(state, root / "base", "vae", "vae.")


def test_the_second_stage_starts_from_the_first_one_widened(root):
    state = build(recipe_of("2-condition", root), root / "new").model.state_dict()
    before = load_file(root / "1-detokenizer" / "detokenizer.safetensors")
    assert same(state, root / "1-detokenizer", "detokenizer", "", ("unet.conv_in.weight",))
    old, new = before["unet.conv_in.weight"], state["unet.conv_in.weight"]
    assert torch.equal(new[:, : old.shape[1]], old) and not new[:, old.shape[1] :].any()
    assert not torch.equal(
        before["unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_k.weight"],
        load_file(root / "base" / "detokenizer.safetensors")[
            "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_k.weight"
        ],
    )


@pytest.mark.parametrize(("name", "before"), [("3-pretrain", "base"), ("4-instruct", "3-pretrain")])
def test_the_language_stages_start_from_base_and_from_each_other(root, name, before):
    stage = build(recipe_of(name, root), root / "new")
    state = stage.model.state_dict()
    assert same(state, root / before, "language", "language.") and same(state, root / before, "bridge", "")
    assert same(state, root / "base", "vision", "vision.")
    shown = "\n".join(describe(_without_data(stage), stage.recipe))
    for part, file in (("language", "language"), ("bridge", "bridge"), ("vision", "vision")):
        assert f"{root / before}/{file}" in next(line for line in shown.splitlines() if line.startswith(f"{part} "))
    assert "newly initialised" in next(line for line in shown.splitlines() if line.startswith("adapters "))


def _without_data(stage):
    stage.describe = list
    return stage


def test_what_a_stage_did_is_in_the_next_ones(root):
    """Stage 4 has stage 3's changes: 3 adds 0.03 to the norms, 4 another 0.04."""
    norms = [load_file(root / name / "language.safetensors")["llm.model.norm.weight"] for name in ("base", *CHAIN[2:])]
    assert torch.allclose(norms[1], norms[0] + 0.03) and torch.allclose(norms[2], norms[0] + 0.07)


def test_every_folder_is_a_whole_model(root):
    for name, condition in (("base", False), ("1-detokenizer", False), ("2-condition", True), ("4-instruct", False)):
        assert native.load(root / name).config.detokenizer.condition == condition
    second = native.load(root / "2-condition")
    first = second.stage(condition=False)
    assert torch.equal(
        first.unet.conv_in.weight, load_file(root / "1-detokenizer" / "detokenizer.safetensors")["unet.conv_in.weight"]
    )


def test_the_sides_are_put_together(root, tmp_path):
    side, drawing = str(root / "4-instruct"), str(root / "2-condition")
    compose.init(tmp_path / "whole", Places(side, side, drawing, side))
    for part, place in (("language", side), ("bridge", side), ("detokenizer", drawing), ("first_stage", drawing)):
        assert (tmp_path / "whole" / f"{part}.safetensors").read_bytes() == Path(
            place, f"{part}.safetensors"
        ).read_bytes()


def test_adapters_need_a_language_model(root, tmp_path):
    recipe = dataclasses.replace(recipe_of("3-pretrain", root), init_from="scratch")
    with pytest.raises(SeedxError, match=r"lora and adapter train adapters of a language model, and .* has none"):
        build(recipe, root / "base")
