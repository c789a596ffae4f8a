"""LoRA of SDXL's U-Net as LCM and Lightning publish it: every layer they change, on a U-Net of SDXL's blocks.

The names are those of latent-consistency/lcm-lora-sdxl and ByteDance/SDXL-Lightning; widths are small and weights
random. Neither of the files themselves was at hand.
"""

from __future__ import annotations

import copy
import dataclasses
import re

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from random_adapters import random_updates
from seedx.checkpoint.adapters import DIFFUSERS, read_adapter
from seedx.errors import SeedxError
from seedx.model.detokenizer import Detokenizer
from seedx.model.lora import LoraSwitch
from small import SMALL

SMALL_SDXL = {  # SDXL's blocks
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (8, 16, 16),
    "layers_per_block": 2,
    "transformer_layers_per_block": (1, 1, 2),
    "norm_num_groups": 4,
    "attention_head_dim": (2, 2, 2),
    "addition_time_embed_dim": 8,
}
LCM_LAYERS = (  # targets of diffusers' train_lcm_distill_lora_sdxl.py
    r"to_[qkv]|to_out\.0|proj_in|proj_out|ff\.net\.0\.proj|ff\.net\.2|conv1|conv2|conv_shortcut|"
    r"downsamplers\.0\.conv|upsamplers\.0\.conv|time_emb_proj"
)
OF_RESNETS = {"conv1": "in_layers.2", "conv2": "out_layers.3", "time_emb_proj": "emb_layers.1"}
OF_RESNETS["conv_shortcut"] = "skip_connection"


@pytest.fixture(scope="module")
def unet():
    torch.manual_seed(0)
    config = dataclasses.replace(SMALL.detokenizer, unet=SMALL_SDXL, condition=False)
    return Detokenizer(config, SMALL.vision.output_dim).unet.eval()


@pytest.fixture(scope="module")
def changes(unet):
    layers = [
        name
        for name, layer in unet.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d) and re.search(rf"\.({LCM_LAYERS})$", name)
    ]
    return random_updates(unet, [f"{name}.weight" for name in layers], seed=3)


def in_sdxls_code(name: str) -> str:
    """A layer's name in diffusers -> in SDXL's own code, which numbers blocks and their parts."""
    name = re.sub(r"transformer_blocks", "TB", name)
    if match := re.fullmatch(r"down_blocks\.(\d)\.downsamplers\.0\.conv", name):
        return f"input_blocks.{3 + 3 * int(match[1])}.0.op"
    if match := re.fullmatch(r"up_blocks\.(\d)\.upsamplers\.0\.conv", name):
        return f"output_blocks.{3 * int(match[1]) + 2}.2.conv"
    match = re.fullmatch(r"(down|mid|up)_blocks?\.?(\d?)\.(resnets|attentions)\.(\d+)\.(.*)", name)
    assert match, name
    where, block, kind, number, rest = match[1], int(match[2] or 0), match[3], int(match[4]), match[5]
    if where == "mid":
        start = f"middle_block.{2 * number if kind == 'resnets' else 1}"
    else:
        place = 3 * block + number + (where == "down")
        start = f"{'input' if where == 'down' else 'output'}_blocks.{place}.{int(kind == 'attentions')}"
    return f"{start}.{OF_RESNETS.get(rest, rest)}".replace("TB", "transformer_blocks")


def kohya(name: str) -> str:
    return "lora_unet_" + name.replace(".", "_")


LAYOUTS = {  # name of a layer -> the names of A, B and alpha
    "LCM, by kohya's scripts": lambda name: [
        kohya(name) + end for end in (".lora_down.weight", ".lora_up.weight", ".alpha")
    ],
    "Lightning, by SDXL's own names": lambda name: [
        kohya(in_sdxls_code(name)) + end for end in (".lora_down.weight", ".lora_up.weight", ".alpha")
    ],
    "diffusers": lambda name: [f"unet.{name}.lora.down.weight", f"unet.{name}.lora.up.weight", None],
    "diffusers by peft": lambda name: [f"unet.{name}.lora_A.weight", f"unet.{name}.lora_B.weight", None],
}


def published(changes, layout, alpha):
    """A file's tensors in a layout."""
    state = {}
    for name, update in changes.items():
        a, b, of_alpha = LAYOUTS[layout](name.removesuffix(".weight"))
        state |= {a: update.a, b: update.b} | ({of_alpha: torch.tensor(alpha)} if of_alpha else {})
    return state


@pytest.mark.parametrize("layout", LAYOUTS)
def test_published_lora_is_an_adapter(changes, layout, tmp_path):
    save_file(published(changes, layout, alpha=0.75), tmp_path / DIFFUSERS)
    adapter = read_adapter(tmp_path / DIFFUSERS, "lcm")
    assert set(adapter.parts) == {"unet"} and adapter.parts["unet"].keys() == changes.keys()
    scale = 1.0 if "diffusers" in layout else 0.75 / 3  # of rank 3
    for name, update in adapter.parts["unet"].items():
        assert torch.equal(update.a, changes[name].a) and torch.equal(update.b, changes[name].b)
        assert update.scale == pytest.approx(scale)


def test_the_unet_is_what_it_is_with_its_weights_merged(unet, changes, tmp_path):
    save_file(published(changes, "LCM, by kohya's scripts", alpha=1.5), tmp_path / DIFFUSERS)
    updates, expected = read_adapter(tmp_path / DIFFUSERS).parts["unet"], copy.deepcopy(unet)
    for name, update in changes.items():
        weight = expected.get_parameter(name)
        weight.data = dataclasses.replace(update, scale=0.5).merged(weight)
    inputs = [torch.randn(2, unet.config.in_channels, 8, 8), torch.tensor(500)]
    inputs.append(torch.randn(2, 3, unet.config.cross_attention_dim))
    pooled = unet.config.projection_class_embeddings_input_dim - 6 * 8
    added = {"text_embeds": torch.randn(2, pooled), "time_ids": torch.ones(2, 6)}
    with torch.no_grad():
        plain = unet(*inputs, added_cond_kwargs=added).sample
        right = expected(*inputs, added_cond_kwargs=added).sample
        with LoraSwitch(unet, {"lcm": updates}).use(["lcm"]):
            switched = unet(*inputs, added_cond_kwargs=added).sample
    torch.testing.assert_close(switched, right, atol=1e-4, rtol=1e-4)
    assert (right - plain).abs().max() > 0.01


def test_a_unet_of_other_widths_is_refused(changes, tmp_path):
    save_file(published(changes, "diffusers by peft", alpha=1.0), tmp_path / "lcm.safetensors")
    other = Detokenizer(SMALL.detokenizer, SMALL.vision.output_dim).unet
    with pytest.raises(SeedxError, match="another model's"):
        LoraSwitch(other, {"lcm": read_adapter(tmp_path / "lcm.safetensors").parts["unet"]})
