"""Activation checkpointing: a block stores only its inputs, and runs again in the backward pass.

It applies to every block that would store activations: one that trains, and a frozen one that gradients flow through,
such as most of the U-Net while only its keys and values are trained. A frozen block that no gradient reaches (of the
visual tokenizer) stores nothing anyway, and runs as it is. Where a recipe compiles its blocks too, that goes first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint

from seedx.train.engine.parallel import blocks
from seedx.train.recipe import Recipe


def prepare_blocks(model: nn.Module, recipe: Recipe) -> None:
    """Activation checkpointing and torch.compile, block by block, in place and without new names."""
    for block in blocks(model) if recipe.compile else []:
        if any(parameter.requires_grad for parameter in block.parameters()):
            block.forward = torch.compile(block.forward)
    if recipe.activation_checkpointing:  # outside of compile, which leaves a block with a checkpoint inside as it is
        apply_activation_checkpointing(model)


def apply_activation_checkpointing(model: nn.Module) -> None:
    """Checkpoint the blocks of a model, in place and without new names. Call it after `requires_grad` is set."""
    for block in blocks(model):
        trains = any(parameter.requires_grad for parameter in block.parameters())
        block.forward = functools.partial(_forward, block.forward, trains)


def _forward(forward: Callable[..., Any], trains: bool, *args: Any, **kwargs: Any) -> Any:
    given = (leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor))
    if torch.is_grad_enabled() and (trains or any(tensor.requires_grad for tensor in given)):
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)
    return forward(*args, **kwargs)
