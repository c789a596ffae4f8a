"""What a GPU holds and what it sends, for a model sharded by `parallel.shard`.

    P parameters, p of them trained; S GPUs share one copy of the model; w bytes of a weight in use, 2 in bf16

Memory of one GPU:
    weights      4 P / S        float32, frozen ones too
    gradients    4 p / S        float32
    optimiser    8 p / S        AdamW's two averages
    average      4 p / S        only with EMA
    whole        4 a parameter  of the frozen visual tokenizer and autoencoder, which are not sharded
    gathered     w (root + 2 blocks + 1)   the block that runs and the next one, and the flat buffer of one. The root
                                           (embeddings, head, norms) stays until the backward pass ends
    unreduced    (w + 4) of the largest unit's trained weights: its gradient, and the float32 buffer it is reduced in
    activations  metered: all that the step itself makes

Traffic of one micro-batch, into each GPU: weights are gathered for the forward pass, those of blocks once more for the
backward pass, and the gradients are reduced in float32.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from torch import nn

from seedx.train.engine.parallel import FROZEN, blocks
from seedx.train.planning.clusters import GIB, Cluster
from seedx.train.recipe import Recipe

RESERVED = 2 * GIB  # CUDA's context, NCCL's buffers, cuBLAS's workspace
FRAGMENTED = 0.05  # of what is allocated
LINE_RATE = 0.75  # share of a link's rate that collectives of this size reach


@dataclass(frozen=True)
class Setting:
    """
    Attributes:
        micro: rows of one forward pass on one GPU.
        replicas: of the sharded model: 1, or as many as nodes to shard within each, or as GPUs not to shard at all.
    """

    micro: int
    replicas: int
    checkpointing: bool


@dataclass(frozen=True)
class Memory:
    """Bytes on one GPU; see the top of the file."""

    weights: float
    gradients: float
    optimiser: float
    average: float
    whole: float
    gathered: float
    unreduced: float
    activations: float

    @property
    def total(self) -> float:
        return sum(getattr(self, field.name) for field in dataclasses.fields(self))

    def fits(self, cluster: Cluster) -> bool:
        return self.total * (1 + FRAGMENTED) + RESERVED <= cluster.memory * GIB


@dataclass(frozen=True)
class Sizes:
    """Numbers of parameters of a model as it is sharded.

    Attributes:
        total, trained: of what is sharded.
        root: of those in no block.
        largest: of the largest block.
        largest_trained: trained ones of the largest unit, the root included.
        whole: of the frozen models that every GPU holds whole, in float32.
    """

    total: int
    trained: int
    root: int
    largest: int
    largest_trained: int
    whole: int


def sizes(model: nn.Module, beside: nn.Module | None = None) -> Sizes:
    """Of a model with its trained parameters switched on, on any device.

    Args:
        beside: a frozen model that the stage runs besides.
    """
    towers = [m for m in model.modules() if type(m).__name__ in FROZEN and not _trained(m.parameters())]
    seen = {parameter for module in towers for parameter in module.parameters()}
    whole = _count(seen) + (_count(beside.parameters()) if beside is not None else 0)
    units = []
    for unit in [*blocks(model), model]:
        own = [parameter for parameter in unit.parameters() if parameter not in seen]
        seen.update(own)
        units.append(own)
    *inner, root = units
    return Sizes(
        total=sum(map(_count, units)),
        trained=sum(map(_trained, units)),
        root=_count(root),
        largest=max(map(_count, inner), default=0),
        largest_trained=max(map(_trained, units)),
        whole=whole,
    )


def memory(of: Sizes, recipe: Recipe, setting: Setting, gpus: int, activations: float) -> Memory:
    shards, width = gpus // setting.replicas, 2 if recipe.bf16 else 4
    gathered = of.root + 2 * of.largest + of.largest if gpus > 1 else 0
    return Memory(
        weights=4 * of.total / shards,
        gradients=4 * of.trained / shards if gpus > 1 else 0,  # one process meters them with the activations
        optimiser=8 * of.trained / shards,
        average=4 * of.trained / shards if recipe.ema_decay else 0,
        whole=4 * of.whole,
        gathered=width * gathered,
        unreduced=(width + 4) * of.largest_trained if gpus > 1 else 0,
        activations=activations,
    )


@dataclass(frozen=True)
class Traffic:
    """Of one micro-batch, into one GPU: bytes, and seconds if nothing else is done."""

    gathered: float
    reduced: float
    seconds: float


def traffic(of: Sizes, recipe: Recipe, setting: Setting, gpus: int, cluster: Cluster) -> Traffic:
    """By rings: a GPU takes in all but its own share; of what crosses nodes, a node takes in one copy for its GPUs."""
    copies, width = setting.replicas, 2 if recipe.bf16 else 4
    shards = gpus // copies
    gathered = width * (2 * of.total - of.root) if shards > 1 else 0
    reduced = 4 * of.trained
    seconds = _ring(gathered + (reduced if shards > 1 else 0), shards, cluster)
    if copies > 1:  # the shards' gradients are summed over the copies: reduced, then gathered again
        among_nodes = gpus > cluster.per_node
        share = 2 * reduced * (copies - 1) / copies
        # All shards of a node cross together, so they share its adapters; inside a node each has its own link.
        rate, apart = (cluster.inter, max(1, shards / cluster.per_node)) if among_nodes else (cluster.intra, shards)
        seconds += share / apart / (rate * 1e9 * LINE_RATE)
    return Traffic(gathered, reduced, seconds)


def _ring(size: float, gpus: int, cluster: Cluster) -> float:
    """Seconds to gather (or reduce and scatter) `size` bytes over `gpus`."""
    nodes = -(-gpus // cluster.per_node)
    inside = size * (gpus - 1) / gpus / (cluster.intra * 1e9)
    across = size * (nodes - 1) / nodes / (cluster.inter * 1e9)
    return max(inside, across) / LINE_RATE


def _count(parameters: Any) -> int:
    return sum(parameter.numel() for parameter in parameters)


def _trained(parameters: Any) -> int:
    return sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
