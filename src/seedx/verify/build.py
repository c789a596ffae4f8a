"""Models of the golden cases: our sizes from the official ones, the official weights loaded."""

from __future__ import annotations

import dataclasses
from typing import Any

from seedx import convert
from seedx.config import BridgeConfig, Config, LanguageConfig, VisionConfig
from seedx.model.seedx import SeedX
from seedx.verify.detokenizer_cases import Case, fill


def seedx(case: Case, agent: dict[str, Any] | None = None) -> SeedX:
    """The model of a case, its weights loaded."""
    facts = case.facts["config"]
    config = model_config(facts, agent or facts["agent"])
    model = SeedX(config)
    vision = case.state("visual_encoder")
    if (
        vision and config.vision.pool > 1
    ):  # else features are given, maybe in another number than the visual tokenizer's
        fill(model.vision, convert.from_release("visual_encoder", vision))
    fill(model, convert.from_release("agent", case.state("agent")), without="vision.")
    return model


def model_config(facts: dict[str, Any], agent: dict[str, Any]) -> Config:
    """Our sizes from the official ones."""
    llm = facts["llm"]
    vision = vision_config(facts["visual_encoder"])
    if not agent["vit_down"]:
        vision = dataclasses.replace(vision, queries=vision.pooled, pool=1)
    bridge = BridgeConfig(
        queries=facts["num_img_tokens"],
        input_heads=facts["input_resampler"]["num_heads"],
        output_heads=facts["output_resampler"]["num_heads"],
        tile_positions=agent["add_patch_pos"],
        regression="mse" if agent["mse"] else "cosine",
        text_weight=agent["lm_loss_scale"],
        image_weight=agent["rec_loss_scale"],
    )
    language = LanguageConfig(
        vocab_size=llm["vocab_size"],
        hidden_size=llm["hidden_size"],
        intermediate_size=llm["intermediate_size"],
        layers=llm["num_hidden_layers"],
        heads=llm["num_attention_heads"],
        kv_heads=llm.get("num_key_value_heads"),
        context=llm["max_position_embeddings"],
        rms_norm_eps=llm["rms_norm_eps"],
        tie_embeddings=llm["tie_word_embeddings"],
        bos=llm["bos_token_id"],
        eos=llm["eos_token_id"],
        pad=llm["pad_token_id"],
    )
    return Config(vision=vision, language=language, bridge=bridge)


def vision_config(facts: dict[str, Any]) -> VisionConfig:
    same = ("image_size", "patch_size", "width", "layers", "heads", "mlp_ratio", "output_dim")
    return VisionConfig(queries=facts["n_queries"], **{key: facts[key] for key in same})
