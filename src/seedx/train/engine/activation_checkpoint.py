"""Activation checkpointing: a block keeps what goes into it and nothing else, and runs again in the backward pass.

It is for every block whose activations would be kept: one that trains, and one of frozen weights that gradients pass on
their way to what was before it, as most of the U-Net is where only its keys and values are trained. A frozen block that
no gradient reaches (the visual tokenizer's) keeps nothing as it is, and runs as it is.
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


def recomputed(model: nn.Module) -> None:
    """Let the blocks of a model do so, in place and without new names. Set before what is trained (`requires_grad`)."""
    for block in blocks(model):
        trains = any(parameter.requires_grad for parameter in block.parameters())
        block.forward = functools.partial(_forward, block.forward, trains)


def _forward(forward: Callable[..., Any], trains: bool, *args: Any, **kwargs: Any) -> Any:
    given = (leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor))
    if torch.is_grad_enabled() and (trains or any(tensor.requires_grad for tensor in given)):
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)
    return forward(*args, **kwargs)
