"""The full-size recipes, each built on the meta device, down to the exact list and count of what it trains.

The counts are those of the release's files (resamplers and tile positions 215,183,360; first stage 2,628,709,380;
second stage 2,628,720,900), less the fixed positions, which are stored but never trained.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from seedx.data import formats
from seedx.train.engine import trainable
from seedx.train.recipe import Recipe, load_recipe

FOLDER = Path(__file__).parents[2] / "recipes" / "17b"
LAYERS, WIDTH, MLP, VOCABULARY, RANK = 40, 5120, 13824, 32330, 32
POSITIONS = 64 * 5120 + 64 * 4096  # of both resamplers: fixed sines
BRIDGE = 215_183_360 - POSITIONS
LORA = LAYERS * RANK * (4 * 2 * WIDTH + 3 * (WIDTH + MLP))
NORMS = (2 * LAYERS + 1) * WIDTH
WORDS = 2 * VOCABULARY * WIDTH  # embeddings and head
LANGUAGE = LORA + NORMS + WORDS + BRIDGE


def recipe(name: str) -> Recipe:
    return load_recipe(FOLDER / f"{name}.toml")


def kinds(names: list[str]) -> Counter[str]:
    """How many of each kind, layers apart."""
    return Counter(re.sub(r"\.\d+\.", ".*.", name) for name in names)


def test_four_stages() -> None:
    assert [(file.stem, load_recipe(file).stage) for file in sorted(FOLDER.glob("*.toml"))] == [
        ("1-detokenizer", "detokenizer"),
        ("2-condition", "condition"),
        ("3-pretrain", "language"),
        ("4-instruct", "language"),
    ]


def test_the_first_stage_trains_the_resampler_and_every_key_and_value() -> None:
    model = trainable.build(recipe("1-detokenizer"))
    names = list(trainable.trained(model))
    unet = [name for name in names if name.startswith("unet.")]
    assert sorted(set(names) - set(unet)) == sorted(f"resampler.{n}" for n, _ in model.resampler.named_parameters())
    # 70 transformer blocks, each with self- and cross-attention, of SDXL: 10 of width 640 and 60 of width 1280.
    assert kinds([name.rpartition("transformer_blocks.")[2] for name in unet]) == {
        f"{number}.attn{which}.to_{letter}.weight": times
        for number, times in Counter(range_of_blocks()).items()
        for which in (1, 2)
        for letter in "kv"
    }
    expected = 2 * (10 * (640 + 2048) * 640 + 60 * (1280 + 2048) * 1280)
    assert sum(p.numel() for n, p in trainable.trained(model).items() if n.startswith("unet.")) == expected
    assert trainable.count(model) == expected + 61_245_696


def range_of_blocks() -> list[int]:
    """Numbers of the transformer blocks within each attention layer of SDXL's U-Net."""
    depths = [2] * 5 + [10] * 6  # 2 down and 3 up of width 640; 2 down, 1 middle and 3 up of width 1280
    return [number for depth in depths for number in range(depth)]


def test_the_second_stage_trains_the_whole_unet() -> None:
    model = trainable.build(recipe("2-condition"))
    assert trainable.count(model) == 2_628_720_900
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert frozen and all(name.startswith("vae.") for name in frozen)


@pytest.mark.parametrize("name", ["3-pretrain", "4-instruct"])
def test_the_language_stages_train_adapters_norms_words_and_bridge(name: str) -> None:
    model = trainable.build(recipe(name))
    parameters = trainable.trained(model)
    llm = {key.removeprefix("language.llm."): p for key, p in parameters.items() if key.startswith("language.llm.")}
    linears = [f"self_attn.{x}_proj" for x in "qkvo"] + [f"mlp.{x}_proj" for x in ("gate", "up", "down")]
    assert kinds(list(llm)) == {
        **{f"model.layers.*.{x}.lora_{ab}.default.weight": LAYERS for x in linears for ab in "AB"},
        "model.layers.*.input_layernorm.weight": LAYERS,
        "model.layers.*.post_attention_layernorm.weight": LAYERS,
        "model.norm.weight": 1,
        "model.embed_tokens.weight": 1,
        "lm_head.weight": 1,
    }
    assert sum(p.numel() for n, p in llm.items() if "lora_" in n) == LORA == 125_173_760
    bridge = sum(p.numel() for n, p in parameters.items() if not n.startswith("language."))
    assert bridge == BRIDGE
    assert trainable.count(model) == LANGUAGE
    assert not any(parameter.requires_grad for parameter in model.vision.parameters())


def test_the_chain_and_what_the_release_says_of_tuning() -> None:
    assert [recipe(name).init_from for name in ("1-detokenizer", "2-condition", "3-pretrain", "4-instruct")] == [
        "runs/17b/base",
        "runs/17b/1-detokenizer",
        "runs/17b/base",
        "runs/17b/3-pretrain",
    ]
    instruct = recipe("4-instruct")
    assert instruct.steps == 20_000
    edits = [data.options for data in instruct.data if data.format == "edit"]
    assert len(edits) == 2
    for options in edits:
        assert (options["min_side"], options["min_aspect_ratio"], options["grids"]) == (400, 0.6, ["1x1"])
        assert abs(options["polite"] - 20 / 21) < 1e-4
    assert [data.options for data in instruct.data if data.format == "llava"] == [{"place": "random"}]


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.toml")), ids=lambda file: file.stem)
def test_settings_and_data(file: Path) -> None:
    read = load_recipe(file)
    assert (read.config, read.lr, read.min_lr_ratio, read.warmup_steps) == ("17b", 1e-4, 0.05, 500)
    assert (tuple(read.betas), read.eps, read.weight_decay, read.bf16) == ((0.9, 0.98), 1e-6, 0.05, True)
    gpus = 48 if read.stage == "language" else 32
    assert read.micro_rows(gpus) == read.micro_batch_size and read.streams % (gpus * read.workers) == 0
    if read.stage == "language":
        assert read.losses == {"text": 1.0, "image": 6.0}
    assert len({data.source for data in read.data}) == len(read.data) >= 4
    for data in read.data:
        formats.get(data.format, **data.options)  # raises for an unknown name or option
