"""LoRA in training: peft's layers in the place of a module's own, and what they have learnt.

Training changes the module's names until the adapters are merged or taken; inference does not (`lora.py`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from seedx.config import LoraConfig
from seedx.model.lora import Update

UNET_LAYERS = r".*\.(to_[qkv]|to_out\.0|proj_in|proj_out|ff\.net\.0\.proj|ff\.net\.2)"  # of the attention blocks


def inject(module: nn.Module, lora: LoraConfig, layers: str) -> None:
    """Add LoRA, in float32, to the layers whose whole name the pattern matches."""
    import peft  # seconds to import, and only training needs it

    settings = peft.LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=layers)
    peft.inject_adapter_in_model(settings, module)
    for layer in injected(module).values():
        if layer.lora_A["default"].weight.dtype != torch.float32:
            layer.lora_A.float()  # peft rounds adapters to the weights' precision, which may be half
            layer.lora_B.float()
        layer.reset_lora_parameters("default", init_lora_weights=True)
    module.train(module.training)  # peft's new dropouts are in train mode even if the model is not


def injected(module: nn.Module) -> dict[str, Any]:
    """peft's layers (which have few types) by name."""
    from peft.tuners.lora import LoraLayer

    return {name: layer for name, layer in module.named_modules() if isinstance(layer, LoraLayer)}


def updates_of(module: nn.Module) -> dict[str, Update]:
    """What the added layers have learnt, by the names of the weights in the module as it was."""
    return {
        f"{name}.weight": Update(
            layer.lora_A["default"].weight.detach(), layer.lora_B["default"].weight.detach(), layer.scaling["default"]
        )
        for name, layer in injected(module).items()
    }
