"""A de-tokenizer as a base part: a U-Net and an autoencoder of diffusers, or what one of our own models draws by."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from seedx.checkpoint import native, weights
from seedx.checkpoint.base.fetch import is_ours
from seedx.checkpoint.sizes import DERIVED, differences, scheduler_differences
from seedx.config import DetokenizerConfig, VisionConfig
from seedx.damage import read_json_object
from seedx.errors import SeedxError
from seedx.model.autoencoder import SDXL_VAE, class_of, settings_of
from seedx.model.detokenizer import SDXL_UNET

RESAMPLER = "resampler."
OTHERS = ("class_embed_type", "encoder_hid_dim_type", "encoder_hid_dim", "cross_attention_norm")


@dataclass(frozen=True)
class DetokenizerPart:
    """
    Attributes:
        unet: under our names; with the resampler, if it has one for these features.
        vae: under our names.
        first: the first stage, where `unet` is of the second one; empty if it is not kept.
    """

    config: DetokenizerConfig
    unet: Mapping[str, Tensor]
    vae: Mapping[str, Tensor]
    first: Mapping[str, Tensor]


def read(place: Path, vision: VisionConfig) -> DetokenizerPart:
    """
    Args:
        vision: whose features it is to draw.

    Raises:
        SeedxError: there is no de-tokenizer at this place, one with a setting that ours does not have, or a U-Net and
            an autoencoder that do not fit.
    """
    if is_ours(place, "detokenizer"):
        return _ours(place, vision)
    missing = [name for name in ("unet", "vae") if not (place / name / "config.json").is_file()]
    if missing:
        raise SeedxError(
            f"{place} holds no de-tokenizer: expected one of our models, or a folder of diffusers with unet/ and vae/; "
            f"there is no {missing[0]}/config.json"
        )
    return _diffusers(place, vision)


def _ours(place: Path, vision: VisionConfig) -> DetokenizerPart:
    model = native.read_config(place)
    state, other = native.read_part(place, "detokenizer"), native.other_name(model)
    first = native.read_part(place, other) if model.detokenizer.condition and weights.find(place, other) else {}
    config = model.detokenizer
    if model.vision.output_dim != vision.output_dim:  # it reads other features
        state, first = _unet(state), _unet(first)
    return DetokenizerPart(config, state, native.read_part(place, "vae"), first)


def _unet(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if not name.startswith(RESAMPLER)}


def _diffusers(place: Path, vision: VisionConfig) -> DetokenizerPart:
    unet = _with_defaults(read_json_object(place / "unet" / "config.json"), "UNet2DConditionModel")
    vae = _with_defaults(read_json_object(place / "vae" / "config.json"), "AutoencoderKL")
    _check_unet(unet, place)
    if vae.get("_class_name", "AutoencoderKL") != "AutoencoderKL":
        raise SeedxError(f"{place / 'vae'}: an AutoencoderKL is expected, not {vae['_class_name']!r}")
    own = differences(vae, SDXL_VAE, "AutoencoderKL")
    channels = vae["latent_channels"]
    if unet["in_channels"] != channels or unet["out_channels"] != channels:
        raise SeedxError(
            f"{place}: the U-Net reads {unet['in_channels']} and writes {unet['out_channels']} channels, "
            f"the autoencoder has {channels}: they must be the same; give a text-to-image model, not one for editing"
        )
    if vae.get("shift_factor"):
        own["shift"] = vae["shift_factor"]
    own.pop("shift_factor", None)
    levels = len(vae["block_out_channels"])
    config = _config(unet, own, vision, 2 ** (levels - 1), scheduler_differences(place))
    return DetokenizerPart(
        config,
        {f"unet.{name}": tensor for name, tensor in _weights(place / "unet").items()},
        {f"model.{name}": tensor for name, tensor in _weights(place / "vae").items()},
        {},
    )


def _with_defaults(config: dict[str, Any], name: str) -> dict[str, Any]:
    """A config of diffusers leaves out what is the default of its version."""
    parameters = inspect.signature(class_of(name).__init__).parameters
    return {key: parameters[key].default for key in settings_of(class_of(name).__init__)} | config


def _check_unet(unet: dict[str, Any], place: Path) -> None:
    if unet.get("_class_name", "UNet2DConditionModel") != "UNet2DConditionModel":
        raise SeedxError(f"{place / 'unet'}: a UNet2DConditionModel is expected, not {unet['_class_name']!r}")
    for name in OTHERS:
        if unet.get(name):
            raise SeedxError(f"{place / 'unet'}: {name} must be none for this library's U-Net, not {unet[name]!r}")
    if unet.get("addition_embed_type") not in (None, "text_time"):
        raise SeedxError(
            f"{place / 'unet'}: addition_embed_type must be 'text_time' (SDXL) or none, not "
            f"{unet['addition_embed_type']!r}"
        )


def _config(
    unet: dict[str, Any], vae: dict[str, Any], vision: VisionConfig, factor: int, scheduler: dict[str, Any]
) -> DetokenizerConfig:
    base, width = DetokenizerConfig(), unet["cross_attention_dim"]
    if not isinstance(width, int):
        raise SeedxError(f"the U-Net's cross_attention_dim must be one number, not {width!r}")
    pooled = width // 2  # of a U-Net that has no pooled text: the vector is not used
    if unet.get("addition_embed_type") == "text_time":
        pooled = (unet["projection_class_embeddings_input_dim"] or 0) - 6 * (unet["addition_time_embed_dim"] or 0)
    if not 0 < pooled < width:
        raise SeedxError(f"the U-Net's pooled text has {pooled} of its {width} channels: expected a part of them")
    heads = min(base.heads, max(1, width // base.head_dim))
    return dataclasses.replace(
        base,
        dim=heads * base.head_dim,
        heads=heads,
        queries=vision.pooled,
        context_dims=(width - pooled, pooled),
        image_size=(unet["sample_size"] or SDXL_UNET["sample_size"]) * factor,
        condition=False,
        unet={
            name: value
            for name, value in differences(unet, SDXL_UNET, "UNet2DConditionModel").items()
            if name not in DERIVED
        },
        vae=vae,
        scheduler=scheduler,
    )


def _weights(folder: Path) -> dict[str, Tensor]:
    files = weights.find_module(folder)
    if not files:
        raise SeedxError(f"{folder} holds no weights: expected diffusion_pytorch_model.safetensors")
    return weights.read(*files)
