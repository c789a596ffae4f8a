"""The memory of a GPU and the traffic between GPUs, for a model sharded by `parallel.shard`.

    P parameters, p of them trained; S GPUs share one replica of the model; w bytes of a weight in use, 2 in bf16

Memory of one GPU, in bytes:
    weights      4 P / S        float32, frozen ones too
    gradients    4 p / S        float32
    optimizer    8 p / S        AdamW's two moments
    ema          4 p / S        only with a moving average
    unsharded    4 each         weights of the frozen visual tokenizer and autoencoder, which every GPU holds whole
    gathered     w (root + 2 blocks + 1)   the running block and the next one, and the flat buffer of one. The root
                                           (embeddings, head, norms) stays until the backward pass ends
    unreduced    (w + 4) of the largest unit's trained weights: its gradient, and the float32 buffer it is reduced in
    activations  measured: all that the step itself allocates
    host         with `offload`: the weights, gradients, optimizer and ema, which are then none of the GPU's; no part of
                 the total

With `compile` the figures are those without it, which are a bound: fused operations keep less.

Traffic of one micro-batch, into each GPU: weights are gathered for the forward pass, those of blocks once more for the
backward pass, and the gradients are reduced in float32. With `offload` the shards cross from the machine's memory each
time, in float32, and the gradients' shards back to it. (AdamW's step on the machine's cores is not counted.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from seedx.train.engine.parallel import FROZEN, blocks
from seedx.train.planning.clusters import GIB, Cluster
from seedx.train.recipe import Recipe

RESERVED = 2 * GIB  # CUDA's context, NCCL's buffers, cuBLAS's workspace
FRAGMENTED = 0.05  # share of the allocated memory that is lost between allocations
LINE_RATE = 0.75  # share of a link's bandwidth that collectives of this size reach


@dataclass(frozen=True)
class Setting:
    """
    Attributes:
        micro_batch_size: rows of one forward pass on one GPU.
        replicas: copies of the sharded model: 1; the number of nodes, to shard within each; or the number of GPUs, to
            shard nothing.
    """

    micro_batch_size: int
    replicas: int
    activation_checkpointing: bool


@dataclass(frozen=True)
class Memory:
    """Bytes on one GPU; see the top of the file."""

    weights: float
    gradients: float
    optimizer: float
    ema: float
    unsharded: float
    gathered: float
    unreduced: float
    activations: float
    host: float = 0.0

    @property
    def total(self) -> float:
        return float(sum(getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "host"))

    def fits(self, cluster: Cluster) -> bool:
        return self.total * (1 + FRAGMENTED) + RESERVED <= cluster.memory * GIB


@dataclass(frozen=True)
class Sizes:
    """Numbers of parameters.

    Attributes:
        total, trained: of all that is sharded.
        root: outside of the blocks.
        largest: in the largest block.
        largest_trained: trained ones in the largest unit, the root included.
        unsharded: of the frozen models that every GPU holds whole, in float32.
    """

    total: int
    trained: int
    root: int
    largest: int
    largest_trained: int
    unsharded: int


def sizes(model: nn.Module, vision: nn.Module | None = None) -> Sizes:
    """Of a model with `requires_grad` set, on any device.

    Args:
        vision: the frozen visual tokenizer, where the stage runs it in addition to the model.
    """
    towers = [m for m in model.modules() if type(m).__name__ in FROZEN and not _trained(m.parameters())]
    seen = {parameter for module in towers for parameter in module.parameters()}
    unsharded = _count(seen) + (_count(vision.parameters()) if vision else 0)
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
        unsharded=unsharded,
    )


def memory(sizes: Sizes, recipe: Recipe, setting: Setting, gpus: int, activations: float) -> Memory:
    shards, width = gpus // setting.replicas, 2 if recipe.bf16 else 4
    sharded = gpus > 1 or recipe.offload
    kept = {
        "weights": 4 * sizes.total / shards,
        "gradients": 4 * sizes.trained / shards if sharded else 0.0,  # for one process they are in the activations
        "optimizer": 8 * sizes.trained / shards,
        "ema": 4 * sizes.trained / shards if recipe.ema_decay else 0.0,
    }
    return Memory(
        **(dict.fromkeys(kept, 0.0) if recipe.offload else kept),
        unsharded=4 * sizes.unsharded,
        gathered=width * (sizes.root + 3 * sizes.largest) if sharded else 0,
        unreduced=(width + 4) * sizes.largest_trained if sharded else 0,
        activations=activations,
        host=sum(kept.values()) if recipe.offload else 0.0,
    )


@dataclass(frozen=True)
class Traffic:
    """Of one micro-batch, into one GPU: bytes, and seconds when nothing else runs."""

    gathered: float
    reduced: float
    seconds: float


def traffic(sizes: Sizes, recipe: Recipe, setting: Setting, gpus: int, cluster: Cluster) -> Traffic:
    """By ring collectives: a GPU receives all but its own share; a node receives one copy for all its GPUs."""
    copies, width = setting.replicas, 2 if recipe.bf16 else 4
    shards = gpus // copies
    gathered = width * (2 * sizes.total - sizes.root) if shards > 1 else 0
    reduced = 4 * sizes.trained
    seconds = _ring(gathered + (reduced if shards > 1 else 0), shards, cluster)
    if recipe.offload:
        seconds += 4 * (2 * sizes.total - sizes.root + sizes.trained) / shards / (cluster.host * 1e9)
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


def _count(parameters: Iterable[Tensor]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def _trained(parameters: Iterable[Tensor]) -> int:
    return sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
