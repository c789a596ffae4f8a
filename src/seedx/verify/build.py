"""Models of the golden cases: our sizes from the official ones, the official weights loaded."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

from seedx.checkpoint import release
from seedx.config import BridgeConfig, Config, DetokenizerConfig, LanguageConfig, VisionConfig
from seedx.model.autoencoder import class_of
from seedx.model.detokenizer import Detokenizer
from seedx.model.resampler import QueryResampler
from seedx.model.seedx import SeedX
from seedx.model.vision import VisionTransformer
from seedx.verify.case import Case, fill

POOL = VisionConfig.pool  # of the release's `vit_down`, which is on or off


def vision(case: Case) -> VisionTransformer:
    """The visual tokenizer of a case, its weights loaded."""
    model = VisionTransformer(vision_config(case.config["visual_encoder"]))
    fill(model, release.from_release("visual_encoder", case.state("visual_encoder")))
    return model


def seedx(case: Case, agent: dict[str, Any] | None = None, features: int | None = None) -> SeedX:
    """The model of a case, fed with features: its visual tokenizer has no weights.

    Args:
        agent: the official settings, if they differ from the case's.
        features: tokens of an image that it is fed, if not the visual tokenizer's number.
    """
    facts = case.config
    model = SeedX(model_config(facts, agent or facts["agent"], features))
    # The release sizes this one freely; ours follows from the features, which need not be what the case draws.
    out = facts["output_resampler"]
    model.output_resampler = QueryResampler(
        out["grid_size"] ** 2, out["embed_dim"], out["num_heads"], facts["llm"]["hidden_size"]
    )
    state = case.state("agent")
    if model.config.language.tie_embeddings:
        state.setdefault("llm.lm_head.weight", state["llm.model.embed_tokens.weight"])
    fill(model, release.from_release("agent", state), without="vision.")
    return model


def model_config(facts: dict[str, Any], agent: dict[str, Any], features: int | None = None) -> Config:
    """Our sizes from the official ones."""
    vision = facts["visual_encoder"] | ({} if features is None else {"n_queries": features})
    bridge = BridgeConfig(
        queries=facts["input_resampler"]["grid_size"] ** 2,
        input_heads=facts["input_resampler"]["num_heads"],
        output_heads=facts["output_resampler"]["num_heads"],
        tile_positions=agent["add_patch_pos"],
        regression="mse" if agent["mse"] else "cosine",
        text_weight=agent["lm_loss_scale"],
        image_weight=agent["rec_loss_scale"],
    )
    pool = POOL if agent["vit_down"] and vision["n_queries"] % POOL == 0 else 1
    return Config(vision=vision_config(vision, pool), language=language_config(facts["llm"]), bridge=bridge)


def vision_config(facts: dict[str, Any], pool: int = POOL) -> VisionConfig:
    same = ("image_size", "patch_size", "width", "layers", "heads", "mlp_ratio", "output_dim")
    queries = math.isqrt(facts["n_queries"]) ** 2  # the release rounds the side of their square down
    return VisionConfig(queries=queries, pool=pool, **{key: facts[key] for key in same})


def language_config(llm: dict[str, Any]) -> LanguageConfig:
    return LanguageConfig(
        vocab_size=llm["vocab_size"],
        hidden_size=llm["hidden_size"],
        intermediate_size=llm["intermediate_size"],
        layers=llm["num_hidden_layers"],
        heads=llm["num_attention_heads"],
        kv_heads=llm.get("num_key_value_heads"),
        context=llm["max_position_embeddings"],
        rms_norm_eps=llm["rms_norm_eps"],
        rope_theta=llm.get("rope_theta", LanguageConfig.rope_theta),
        tie_embeddings=llm.get("tie_word_embeddings", False),
        bos=llm["bos_token_id"],
        eos=llm["eos_token_id"],
        pad=llm["pad_token_id"],
    )


def detokenizer_config(facts: dict[str, Any], **changes: Any) -> DetokenizerConfig:
    """Our sizes from the official ones, of a first-stage model. A case without a VAE gets an unused one."""
    r, unet, scheduler = facts["resampler"] | changes, facts.get("unet", {}), facts.get("scheduler", {})
    small = {"block_out_channels": (4,), "down_block_types": ("DownEncoderBlock2D",), "norm_num_groups": 1}
    small |= {"up_block_types": ("UpDecoderBlock2D",), "latent_channels": unet.get("out_channels", 4)}
    sampler = scheduler.get("_class_name", DetokenizerConfig.sampler)
    return DetokenizerConfig(
        dim=r["dim"],
        depth=r["depth"],
        head_dim=r["dim_head"],
        heads=r["heads"],
        queries=r["num_queries"],
        ff_mult=r["ff_mult"],
        context_dims=(r["output1_dim"], r["output2_dim"]),
        normalize=r["normalize"],
        condition=False,
        sampler=sampler,
        unet=known(unet, class_of("UNet2DConditionModel")),
        vae=known(facts["vae"], class_of("AutoencoderKL")) if "vae" in facts else small,
        scheduler=known(scheduler, class_of(sampler)),
    )


def known(settings: dict[str, Any], cls: Callable[..., Any]) -> dict[str, Any]:
    """The settings that a diffusers class has; its files have further ones, which diffusers ignores as well."""
    return {key: value for key, value in settings.items() if key in inspect.signature(cls.__init__).parameters}


def first_stage(case: Case) -> Detokenizer:
    """The de-tokenizer of a case, its weights loaded."""
    model = Detokenizer(detokenizer_config(case.config), case.config["resampler"]["embedding_dim"])
    fill(model, release.from_release("first_stage", case.state("adapter")), without="vae.")
    if vae := case.state("vae"):
        fill(model.vae, release.from_release("vae", vae))
    return model
