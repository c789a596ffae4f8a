"""Where a stage's initial weights come from: the folder, nowhere, a run, or another model."""

import dataclasses
import shutil

import pytest
import torch
from safetensors.torch import load_file
from test_stages import LANGUAGE, SMALL, recipe_of

from seedx.checkpoint import native
from seedx.train.engine import components
from seedx.train.recipe import Recipe, load_recipe
from seedx.train.run import build
from seedx.train.stages.detokenizer import FIRST

LANGUAGE_WEIGHT = "llm.model.layers.0.mlp.up_proj.weight"


@pytest.fixture
def folder(tiny_folder, tmp_path):
    """A copy of the model that tests may change."""
    return shutil.copytree(tiny_folder, tmp_path / "model")


def test_a_stage_starts_from_what_the_folder_has(folder, tmp_path):
    stored = load_file(folder / "language.safetensors")[LANGUAGE_WEIGHT]
    resampler = load_file(folder / "bridge.safetensors")["output_resampler.query"]

    def weights(**changes):
        model = build(load_recipe(recipe_of(tmp_path, LANGUAGE), **SMALL, seed=5, **changes), folder).model
        return model.language.state_dict()[LANGUAGE_WEIGHT], model.output_resampler.query

    found = weights()
    assert torch.equal(found[0], stored) and torch.equal(found[1], resampler)
    scratch = weights(init_from="scratch")
    assert not torch.equal(scratch[0], stored) and not torch.equal(scratch[1], resampler)
    (folder / "bridge.safetensors").unlink()  # a language model alone: the resamplers are new
    found = weights()
    assert torch.equal(found[0], stored) and torch.equal(found[1], scratch[1])


PICTURES = 'name = "p"\nstage = "condition"\nbf16 = false\n[[data]]\nsource = "stickers:edit"\n'


def test_the_second_stage_starts_from_its_own_weights_or_the_first_ones(folder, tmp_path):
    recipe = load_recipe(recipe_of(tmp_path, PICTURES), **SMALL)
    first = build(dataclasses.replace(recipe, stage="detokenizer", init_from="scratch"), folder)
    first.save(first.model, folder)
    assert (folder / f"{FIRST}.safetensors").is_file()
    own = load_file(folder / "detokenizer.safetensors")
    assert torch.equal(build(recipe, folder).model.unet.conv_in.weight, own["unet.conv_in.weight"])
    (folder / "detokenizer.safetensors").unlink()
    second = build(recipe, folder).model.unet.conv_in.weight
    before = first.model.unet.conv_in.weight
    assert second.shape[1] > before.shape[1]
    kept = [torch.equal(second[:, i], before[:, i]) for i in range(before.shape[1])]
    assert sum(kept) >= first.model.vae.channels  # widened: what it had stays
    new = build(dataclasses.replace(recipe, init_from="scratch"), folder).model
    assert new.unet.conv_in.weight.shape == second.shape


def test_the_first_stage_does_not_take_the_second_ones_weights(folder, tmp_path):
    recipe = load_recipe(recipe_of(tmp_path, PICTURES), **SMALL, stage="detokenizer")
    own = load_file(folder / "detokenizer.safetensors")
    model = build(recipe, folder).model
    assert model.unet.conv_in.weight.shape != own["unet.conv_in.weight"].shape


def test_a_named_model_must_have_the_weights(folder, tmp_path):
    recipe = load_recipe(recipe_of(tmp_path, LANGUAGE), **SMALL, init_from=str(folder))
    (folder / "language.safetensors").unlink()
    with pytest.raises(ValueError, match=r"no language\.safetensors"):
        build(recipe, tmp_path / "out")


def test_a_run_is_of_stages_that_keep_its_weights(folder, tmp_path):
    with pytest.raises(ValueError, match="'language' keeps no weights with its runs; leave init_from out"):
        build(load_recipe(recipe_of(tmp_path, LANGUAGE), **SMALL, init_from="run:tune"), folder)


def test_sizes_are_of_the_model_or_of_the_preset(folder, tmp_path):
    config = native.read_config(folder)
    assert components.source(Recipe("a", "language", init_from=str(folder)), tmp_path).config == config
    assert components.source(Recipe("a", "language", config="17b"), folder).config == config
    assert components.source(Recipe("a", "language", config="17b"), tmp_path).config.language.layers == 40
