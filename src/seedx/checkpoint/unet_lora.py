"""LoRA of SDXL's U-Net in the names that it is published in -> changes by the names of the U-Net's weights.

    unet.down_blocks.1.attentions.0.proj_in.lora_A.weight               diffusers, by peft
    unet.down_blocks.1.attentions.0.proj_in.lora.down.weight            diffusers, before
    lora_unet_down_blocks_1_attentions_0_proj_in.lora_down.weight       kohya's scripts: LCM, Lightning
    lora_unet_input_blocks_4_1_proj_in.lora_down.weight                 the same, by the names of SDXL's own code

The converters are diffusers' own. Changes of text encoders, which this model does not have, are an error.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from torch import Tensor

from seedx.checkpoint.peft_names import from_peft
from seedx.errors import SeedxError
from seedx.model.detokenizer import SDXL_UNET
from seedx.model.lora import Update

_PREFIX = "unet."


def published_unet_lora(state: dict[str, Tensor], file: Path) -> dict[str, Update]:
    """
    Args:
        state: the tensors of the file; `alpha` is one for each layer, and the rank where there is none.
        file: for messages.

    Raises:
        SeedxError: names that no converter knows, or parts other than the U-Net's.
    """
    from diffusers.loaders.lora_pipeline import StableDiffusionXLLoraLoaderMixin
    from diffusers.utils import state_dict_utils as converters

    sizes = SimpleNamespace(layers_per_block=SDXL_UNET["layers_per_block"])  # by which SDXL's blocks are counted
    try:
        named, alphas = StableDiffusionXLLoraLoaderMixin.lora_state_dict(dict(state), unet_config=sizes)
    except (ValueError, KeyError) as error:
        raise SeedxError(f"{file} has names that are no LoRA's of SDXL: {str(error).splitlines()[0]}") from error
    others = [name for name in named if name.startswith(("text_encoder", "te_", "te1_", "te2_"))]
    if others:
        raise SeedxError(f"{file} also changes text encoders ({others[0]!r}), which this model does not have")
    alphas = {f"{name.removesuffix('.alpha')}.alpha": float(value) for name, value in (alphas or {}).items()}
    renamed: dict[str, Any] = {
        name.replace(".lora_A.weight.alpha", ".alpha").removeprefix(_PREFIX): value
        for name, value in converters.convert_unet_state_dict_to_peft(named | alphas).items()  # type: ignore[no-untyped-call]
    }
    plain, updates = from_peft({name: value for name, value in renamed.items() if not name.endswith(".alpha")})
    if plain or not updates:
        raise SeedxError(f"{file} is no LoRA of a U-Net: {next(iter(plain), 'it is empty')!r} is none of its names")

    def scale(name: str, update: Update) -> float:
        rank = len(update.a)
        return float(renamed.get(f"{name.removesuffix('.weight')}.alpha", rank)) / rank

    return {name: dataclasses.replace(update, scale=scale(name, update)) for name, update in updates.items()}
