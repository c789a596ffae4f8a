"""Adapters with random changes, for tests that need some."""

import torch

from seedx.model.lora import Update

LANGUAGE = ("self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj")


def random_updates(module, names, seed, rank=3, size=0.3):
    """Changes of the weights `names` of a module."""
    generator, found = torch.Generator().manual_seed(seed), {}
    for name in names:
        shape = module.get_parameter(name).shape
        a = torch.randn(rank, *shape[1:], generator=generator) / shape[1] ** 0.5
        b = torch.randn(shape[0], rank, *[1] * (len(shape) - 2), generator=generator) * size
        found[name] = Update(a, b, scale=0.5)
    return found


def language_updates(llm, seed, rank=3, size=0.3):
    names = [f"model.layers.{i}.{layer}.weight" for i in range(len(llm.model.layers)) for layer in LANGUAGE]
    return random_updates(llm, names, seed, rank, size)


def unet_names(unet, kinds=("to_q.weight", "to_v.weight", "conv1.weight", "conv_shortcut.weight")):
    return [name for name, _ in unet.named_parameters() if name.endswith(kinds)]
