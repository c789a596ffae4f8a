"""A model in a folder is never whole on a rank that holds a shard of it, and training gives the same weights."""

import dataclasses

import pytest
import torch
from loading import main

from processes import free_port, run
from seedx.checkpoint import native
from seedx.checkpoint.parts import Model
from seedx.config import TINY, LoraConfig
from seedx.data.shard_reader import Data
from seedx.model.detokenizer import Detokenizer
from seedx.model.seedx import SeedX
from seedx.tokenizer import train_tokenizer
from seedx.train.recipe import Recipe
from seedx_stickers import tasks

COMMON = {
    "steps": 2,
    "warmup_steps": 1,
    "global_batch_size": 4,
    "streams": 2,
    "max_seq_len": 128,
    "eps": 1e-3,
    "bf16": False,
}
RECIPES = [
    Recipe("full", "language", data=(Data("stickers:draw"),), **COMMON),
    Recipe("lora", "language", data=(Data("stickers:draw"),), lora=True, sample_every=1, **COMMON),
    Recipe(
        "condition",
        "condition",
        data=(Data("stickers:edit"),),
        trained=("resampler.*", "unet.*.to_k.*", "unet.*.to_v.*"),
        activation_checkpointing=True,  # of blocks that are frozen, too
        **COMMON,
    ),
]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A folder in half precision whose language model is most of it: 100 MB as float32."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(tasks.texts(100, seed=0), 700)
    sizes = {"layers": 8, "hidden_size": 512, "intermediate_size": 1408, "vocab_size": tokenizer.vocab_size}
    lora = LoraConfig(rank=4, alpha=4, dropout=0.0)  # dropout is each rank's own
    language = dataclasses.replace(TINY.language, **sizes, lora=lora)
    vision = dataclasses.replace(TINY.vision, layers=1)
    detokenizer = dataclasses.replace(TINY.detokenizer, steps=2)
    config = dataclasses.replace(TINY, vision=vision, language=language, detokenizer=detokenizer)
    model = Model(config, SeedX(config), Detokenizer(config.detokenizer, config.vision.output_dim), tokenizer)
    folder = tmp_path_factory.mktemp("large") / "model"
    native.save(model, folder, torch.float16)
    return folder


@pytest.fixture(scope="module")
def results(large, tmp_path_factory):
    """The results of one process and of two ranks, by name of the recipe, number of ranks and rank."""
    out = tmp_path_factory.mktemp("results")
    ports = {1: free_port(), 2: free_port()}
    ranks = [(rank, size, ports[size], RECIPES, large, out) for size in ports for rank in range(size)]
    assert run(main, *ranks) == [0, 0, 0]
    assert all((out / f"lora-{size}/samples/00000002.png").is_file() for size in ports)
    return lambda *key: torch.load(out / "{}-{}-{}.pt".format(*key), weights_only=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", [recipe.name for recipe in RECIPES])
def test_shares_read_by_each_rank_train_as_the_whole_model_does(results, name):
    alone, first, second = results(name, 1, 0), results(name, 2, 0), results(name, 2, 1)
    assert alone["dtypes"] == first["dtypes"] == second["dtypes"] == {torch.float32}
    for found, expected in zip(first["losses"], alone["losses"], strict=True):
        assert found == pytest.approx(expected, rel=1e-4)
    assert first["weights"].keys() == alone["weights"].keys()
    torch.testing.assert_close(first["weights"], alone["weights"], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_rank_never_holds_more_than_its_share_and_a_block(results):
    alone = results("full", 1, 0)
    size = sum(tensor.nbytes for tensor in alone["weights"].values())
    assert alone["grown"] > 0.95 * size  # or the measure sees nothing
    for rank in range(2):
        assert results("full", 2, rank)["grown"] < 0.7 * size
