"""SEED-Story as people download it, at the smallest sizes: beside what it shares with SEED-X's release.

Its language model is in peft's names, LoRA apart; the de-tokenizer that it was not adapted with and the model that it
was tuned from lie there, too. As in the release, the output resampler gives as many features as the visual tokenizer.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import torch
from mock_release import MOCK, State, llama, qwen, random_state, sdxl
from torch import Tensor

from seedx.checkpoint.parts import build
from seedx.config import LoraConfig
from small import TOKENIZER

QUERIES = 25  # placeholders of a picture: a square, and more than the 16 whose neighbours an attention sink keeps
RANK = 4
BASE = 520  # pieces of the tokenizer's file
ADDED = {token: BASE + i for i, token in enumerate((*(f"<img_{i:05d}>" for i in range(64)), "<img>", "</img>"))}
STORY = dataclasses.replace(
    MOCK,
    tiling=dataclasses.replace(MOCK.tiling, grids=("1x1",), single_tile=False),
    vision=dataclasses.replace(MOCK.vision, pool=1),
    language=dataclasses.replace(MOCK.language, vocab_size=BASE + len(ADDED), heads=4, lora=LoraConfig(rank=16)),
    bridge=dataclasses.replace(
        MOCK.bridge, queries=QUERIES, tile_positions=False, regression="cosine", image_weight=1.0
    ),
    detokenizer=dataclasses.replace(MOCK.detokenizer, condition=False),
)


def make(root: Path, shared: bool = True, whole: bool = False) -> Path:
    """Write the tree below `root` and return its top.

    Args:
        shared: with the visual tokenizer and SDXL; False if they are there already.
        whole: the model's file has all weights, and Llama-2-7b-hf its config alone.
    """
    top = root / "pretrained" / "SEED-Story"
    for place, part, seed in (
        ("detokenizer/detokenizer_george_adapted/checkpoint-4000", "first_stage", 41),
        ("detokenizer/detokenizer_pretrained/checkpoint-55000", "first_stage", 42),
        ("seedx/checkpoint-30000", "agent", 43),
    ):
        (top / place).mkdir(parents=True)
        torch.save(random_state(part, seed, STORY), top / place / "pytorch_model.bin")
    (top / "seed_story" / "george_sft").mkdir(parents=True)
    torch.save(agent(whole), top / "seed_story" / "george_sft" / "pytorch_model.bin")
    tokenizer(top / "cvlm_llama2_tokenizer")
    base = root / "pretrained" / "Llama-2-7b-hf"
    base.mkdir()
    if whole:
        build(STORY)[0].language.llm.config.save_pretrained(base)
    else:
        llama(base, {k: t[:BASE] if "embed" in k or "head" in k else t for k, t in language().items()}, "bin", STORY)
    if shared:
        qwen(root / "pretrained" / "Qwen-VL-Chat")
        sdxl(root / "pretrained" / "stable-diffusion-xl-base-1.0")
    return root / "pretrained"


def tokenizer(folder: Path) -> None:
    shutil.copytree(TOKENIZER, folder)
    (folder / "added_tokens.json").write_text(json.dumps(ADDED))


def language() -> State:
    """The language model before it was tuned, but with the rows of the new tokens.

    Its norms are near 1 and its embeddings large, so that it attends to some tokens more than to others. It writes
    whole words alone: control tokens, bytes and new tokens have the logit 0, below the largest of the others.
    """
    state = random_state("llm", 40, STORY)
    state |= {name: 1 + tensor for name, tensor in state.items() if "norm" in name}
    state["model.embed_tokens.weight"] *= 4
    state["lm_head.weight"][: 3 + 256] = 0
    state["lm_head.weight"][BASE:] = 0
    return state


def resamplers() -> State:
    """Both, with weights that let different pictures look different."""
    state = random_state("agent", 44, STORY)
    return {name: tensor + 1 if ".ln_" in name and "weight" in name else 4 * tensor for name, tensor in state.items()}


def agent(whole: bool) -> State:
    """The file of the fine-tuned model: both resamplers, and the language model in peft's names."""
    state = resamplers()
    for name, tensor in language().items():
        stem, _, kind = name.rpartition(".")
        place = f"llm.base_model.model.{stem}"
        if stem.endswith("norm"):
            state[f"{place}.original_module.{kind}"] = torch.ones_like(tensor)
            state[f"{place}.modules_to_save.default.{kind}"] = tensor
        elif stem.endswith("_proj"):
            a, b = update(name, tensor)
            state[f"{place}.lora_A.default.weight"], state[f"{place}.lora_B.default.weight"] = a, b
            if whole:
                state[f"{place}.weight"] = tensor
        else:
            state[f"{place}.{kind}"] = tensor
    return state


def update(name: str, tensor: Tensor) -> tuple[Tensor, Tensor]:
    """LoRA's two matrices of one weight."""
    generator = torch.Generator().manual_seed(sum(name.encode()))
    draw = [0.1 * torch.randn(shape, generator=generator) for shape in ((RANK, tensor.shape[1]), (len(tensor), RANK))]
    return draw[0], draw[1]


def tuned() -> State:
    """The language model as it was tuned, by hand: alpha is 32."""
    made = {}
    for name, tensor in language().items():
        a, b = update(name, tensor) if "_proj" in name else (torch.zeros(1, 1), torch.zeros(1, 1))
        made[name] = tensor + 32 / RANK * (b @ a) if "_proj" in name else tensor
    return made
