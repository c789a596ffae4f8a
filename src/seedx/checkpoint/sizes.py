"""The sizes of a downloaded model, from the shapes of its weights and the configs beside them.

What no file says is the release's: the number of heads of the resamplers and, without Qwen-VL-Chat's config.json, that
of the visual tokenizer and the side of its pictures. A number of heads that does not divide a small mock's width is
halved until it does.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from seedx.checkpoint.download import Part
from seedx.config import (
    SEED_X_17B,
    BridgeConfig,
    Config,
    DetokenizerConfig,
    LanguageConfig,
    LoraConfig,
    TilingConfig,
    VisionConfig,
)
from seedx.damage import read_json_object
from seedx.errors import SeedxError
from seedx.model.autoencoder import SDXL_VAE, class_of, settings_of
from seedx.model.detokenizer import SDXL_SCHEDULER, SDXL_UNET
from seedx.tokens import SpecialTokens

State = Mapping[str, Tensor]

DERIVED = ("in_channels", "out_channels", "cross_attention_dim", "projection_class_embeddings_input_dim")


def sizes_of(
    official: Mapping[str, State], parts: Mapping[str, Part], specials: SpecialTokens | None, name: str, condition: bool
) -> Config:
    """The config of a model.

    Args:
        official: of each part its weights, under the release's names.
        specials: of the model's tokenizer; None: it has no language model.
        name: of the model, a name of `seedx.checkpoint.layouts.LAYOUTS`.
        condition: whether the second stage of the de-tokenizer is the one to draw with.

    Raises:
        SeedxError: a weight that a size follows from is missing, or a config.json can't be read.
    """
    vision = vision_sizes(official["visual_encoder"], _beside(parts.get("visual_encoder")))
    stage = "second_stage" if condition else "first_stage"
    config = Config(
        name=name,
        tiling=dataclasses.replace(TilingConfig(), tile=vision.image_size),
        vision=vision,
        detokenizer=_detokenizer(_Shapes(stage, official[stage]), parts, condition),
    )
    if specials is None:
        return config
    agent = _Shapes("agent", official["agent"])
    language = _language(_Shapes("llm", official["llm"]), _beside(parts.get("llm")), specials)
    bridge = BridgeConfig(
        queries=agent("input_resampler.query", 0),
        input_heads=_heads(SEED_X_17B.bridge.input_heads, language.hidden_size),
        output_heads=_heads(SEED_X_17B.bridge.output_heads, vision.output_dim),
        tile_positions="patch_pos_embed" in official["agent"],
    )
    pool = max(1, vision.queries // agent("output_resampler.query", 0))
    vision = dataclasses.replace(vision, pool=pool)
    made = dataclasses.replace(config, vision=vision, language=language, bridge=bridge)
    return _of_stories(made) if name == "seed_story" else made


def _of_stories(config: Config) -> Config:
    """SEED-Story reads the thumbnail alone; its recipe has LoRA of rank 16, and the cosine loss with weight 1."""
    return dataclasses.replace(
        config,
        tiling=dataclasses.replace(config.tiling, grids=("1x1",), single_tile=False),
        language=dataclasses.replace(config.language, lora=LoraConfig(rank=16)),
        bridge=dataclasses.replace(config.bridge, regression="cosine", image_weight=1.0),
    )


class _Shapes:
    """Sizes along the axes of a part's weights."""

    def __init__(self, part: str, state: State) -> None:
        self.part, self.state = part, state

    def __call__(self, name: str, axis: int) -> int:
        if name not in self.state or axis >= self.state[name].dim():
            raise SeedxError(
                f"{self.part}: {name!r} is missing, which the model's sizes follow from; is the file complete?"
            )
        return int(self.state[name].shape[axis])

    def count(self, pattern: str) -> int:
        """How many numbers stand where the pattern has its group."""
        return len({match[1] for name in self.state if (match := re.match(pattern, name))})


def vision_sizes(state: State, qwen: dict[str, Any]) -> VisionConfig:
    """The sizes of Qwen-VL's visual tokenizer.

    Args:
        state: its weights under the release's names.
        qwen: Qwen-VL-Chat's config.json; may be empty.
    """
    shapes = _Shapes("visual_encoder", state)
    base, visual = SEED_X_17B.vision, qwen.get("visual", {})
    width, up = shapes("conv1.weight", 0), shapes("transformer.resblocks.0.mlp.c_fc.weight", 0)
    exact = int(width * base.mlp_ratio) == up
    return VisionConfig(
        image_size=_integer(visual, "image_size", base.image_size),
        patch_size=shapes("conv1.weight", 2),
        width=width,
        layers=shapes.count(r"transformer\.resblocks\.(\d+)\."),
        heads=_integer(visual, "heads", _heads(base.heads, width)),
        mlp_ratio=base.mlp_ratio if exact else (up + 0.5) / width,  # the half: the product is rounded down
        queries=shapes("attn_pool.query", 0),
        output_dim=shapes("proj", 1),
    )


def _language(shapes: _Shapes, config: dict[str, Any], specials: SpecialTokens) -> LanguageConfig:
    base, rope = SEED_X_17B.language, config.get("rope_parameters") or {}
    width = shapes("model.embed_tokens.weight", 1)
    usual = width // 128 if width % 128 == 0 else _heads(base.heads, width)  # every Llama 2 has heads of 128
    heads = _integer(config, "num_attention_heads", usual)
    keys = shapes("model.layers.0.self_attn.k_proj.weight", 0) * heads // width
    return LanguageConfig(
        vocab_size=shapes("model.embed_tokens.weight", 0),
        hidden_size=width,
        intermediate_size=shapes("model.layers.0.mlp.up_proj.weight", 0),
        layers=shapes.count(r"model\.layers\.(\d+)\."),
        heads=heads,
        kv_heads=None if keys == heads else keys,
        context=_integer(config, "max_position_embeddings", base.context),
        rms_norm_eps=float(config.get("rms_norm_eps", base.rms_norm_eps)),
        rope_theta=float(config.get("rope_theta", rope.get("rope_theta", base.rope_theta))),
        tie_embeddings="lm_head.weight" not in shapes.state,
        bos=specials.bos,
        eos=specials.eos,
        pad=specials.pad,
        lora=LoraConfig(),
    )


def _detokenizer(shapes: _Shapes, parts: Mapping[str, Part], condition: bool) -> DetokenizerConfig:
    base, dim = SEED_X_17B.detokenizer, shapes("resampler.latents", 2)
    inner = shapes("resampler.layers.0.0.to_q.weight", 0)
    heads = math.gcd(_heads(base.heads, inner), _heads(base.heads, dim))
    unet, vae = _beside(parts.get("unet")), _beside(parts.get("vae"))
    own = differences(vae, SDXL_VAE, "AutoencoderKL")
    levels = len(own.get("block_out_channels", SDXL_VAE["block_out_channels"]))
    return DetokenizerConfig(
        dim=dim,
        depth=shapes.count(r"resampler\.layers\.(\d+)\."),
        head_dim=inner // heads,
        heads=heads,
        queries=shapes("resampler.latents", 1),
        ff_mult=shapes("resampler.layers.0.1.1.weight", 0) // dim,
        context_dims=(shapes("resampler.unet_proj_1.weight", 0), shapes("resampler.unet_proj_2.weight", 0)),
        image_size=_integer(unet, "sample_size", SDXL_UNET["sample_size"]) * 2 ** (levels - 1),
        condition=condition,
        unet={k: v for k, v in differences(unet, SDXL_UNET, "UNet2DConditionModel").items() if k not in DERIVED},
        vae=own,
        scheduler=scheduler_differences(parts["unet"].place.parent) if "unet" in parts else {},
    )


def differences(config: Mapping[str, Any], sdxl: Mapping[str, Any], cls: str) -> dict[str, Any]:
    """What a diffusers config says differently from SDXL's."""
    signature = inspect.signature(class_of(cls).__init__).parameters
    known = settings_of(class_of(cls).__init__)
    defaults = {key: signature[key].default for key in known} | dict(sdxl)
    return {key: value for key, value in config.items() if key in known and _plain(value) != _plain(defaults[key])}


def scheduler_differences(folder: Path) -> dict[str, Any]:
    """The noise table of the scheduler of a folder of diffusers, where it differs from SDXL's."""
    file = folder / "scheduler" / "scheduler_config.json"
    config = read_json_object(file) if file.is_file() else {}
    return {key: config[key] for key, value in SDXL_SCHEDULER.items() if config.get(key, value) != value}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _beside(part: Part | None) -> dict[str, Any]:
    """The config.json of a part; empty if it has none."""
    if part is None:
        return {}
    places = [part.place / "config.json"] if part.place.is_dir() else near_qwen(part.place)
    return next((read_json_object(file) for file in places if file.is_file()), {})


def near_qwen(file: Path) -> list[Path]:
    """Where Qwen-VL-Chat's config may lie for a qwen_vit_G.pt that was made from it."""
    near = (config for root in (file.parent, file.parent.parent) for config in root.glob("*[Qq]wen*/config.json"))
    return [file.parent / "config.json", *sorted(near)]


def _integer(config: Mapping[str, Any], key: str, otherwise: int) -> int:
    value = config.get(key, otherwise)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SeedxError(f"config.json: {key!r} must be a whole number above 0, not {value!r}")
    return value


def _heads(most: int, width: int) -> int:
    """The release's number of heads, halved until it divides the width."""
    heads = most
    while heads > 1 and width % heads:
        heads //= 2
    return heads
