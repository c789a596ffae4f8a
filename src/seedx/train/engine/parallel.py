"""FSDP2 sharding and collectives, applied to a model from outside.

`torchrun` starts the processes and gives each its rank by environment variables; without them there is one process and
nothing distributed runs. The model knows nothing of this. FSDP2 (`fully_shard`) keeps a shard of every parameter, its
gradient and its optimizer state on each rank, gathers a block's weights when the block runs, and reduces gradients.
They are summed, never averaged: the trainer divides its losses by counts over the whole global batch.

How a sharded model differs:
    - its parameters are DTensors: `optimizer_parameters` returns them, `local_shard` this rank's shard;
    - weights are gathered only while the model's forward runs, or a method in `FORWARDS`, or in `full_parameters`;
    - these are collectives: all ranks run them in the same order, whatever their data. A rank without pictures runs
      the modules that read pictures on an empty batch.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import HashStore
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import (
    CPUOffloadPolicy,
    FSDPModule,
    MixedPrecisionPolicy,
    OffloadPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.distributed.tensor import DTensor

from seedx.errors import SeedxError

CPU = torch.device("cpu")

# Classes that are FSDP units, by name: no model has to be imported to shard another. The rest of a model (embeddings,
# head, resamplers, norms, positions) is one more unit.
BLOCKS = frozenset({"LlamaDecoderLayer", "Block", "PerceiverLayer", "BasicTransformerBlock", "ResnetBlock2D"})
# Never sharded while nothing in them is trained.
FROZEN = frozenset({"VisionTransformer", "Autoencoder"})
# What a training step calls instead of `forward`. None of them calls another.
FORWARDS = {"Detokenizer": ("context", "predict"), "Autoencoder": ("mode", "decode")}


@dataclass(frozen=True)
class World:
    """The ranks of a run, as one of them sees them."""

    rank: int = 0
    size: int = 1
    device: torch.device = CPU

    @property
    def first(self) -> bool:
        """Whether this is the process that logs and writes."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all ranks, a new tensor of the same shape."""
        total = tensor.detach().clone()
        if self.size > 1:
            dist.all_reduce(total)
        return total

    def gather(self, value: Any) -> list[Any]:
        """Every rank's `value` (anything that pickles), in the order of ranks, on every rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def barrier(self) -> None:
        if self.size > 1:
            dist.barrier()


class Sharding(Protocol):
    """The fields of a recipe that `shard` reads."""

    @property
    def bf16(self) -> bool: ...

    @property
    def offload(self) -> bool: ...

    def shards(self, ranks: int) -> int: ...


def init_distributed() -> World:
    """Join the process group of torchrun: NCCL on GPUs, gloo on the CPU. Without torchrun: one process.

    Raises:
        SeedxError: torchrun's variables are incomplete.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if size == 1:
        return World(device=device)
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise SeedxError(f"WORLD_SIZE is {size} but {', '.join(missing)} is not set; start many processes by torchrun")
    # Objects and checkpoints go over gloo on every machine: they are on the CPU.
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    return World(dist.get_rank(), size, device)


def current_world() -> World:
    """The ranks that `init_distributed` joined, for collectives of CPU tensors before a run starts."""
    return World(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else World()


def shutdown(world: World, *objects: object) -> None:
    """Destroy the process group after a success. After a failure don't call it: it would wait for ranks that are gone.

    Args:
        objects: models, optimizers and other holders of sharded tensors. They are emptied: tensors that outlive the
            process group can abort the process at its exit.
    """
    if dist.is_initialized():
        for holder in objects:
            vars(holder).clear()
    gc.collect()
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def shard(model: nn.Module, world: World, recipe: Sharding) -> None:
    """Shard a model's parameters over the ranks, in place; a single process only moves it to its device, unless its
    weights are offloaded.

    With `recipe.offload` the shards, their gradients and so the optimizer's state are in the machine's memory, and only
    the weights that run are on the device.

    On GPUs with `recipe.bf16` weights are gathered and used in bfloat16, and gradients reduced in float32; those of the
    optimizer are float32. On the CPU everything stays float32, so that many processes compute what one does.

    Weights may be in half precision, and views of files (`components.read`): each rank reads and keeps its shard of a
    unit before the next one is touched. They are float32 afterwards.

    Raises:
        SeedxError: the recipe's `replicas` does not divide the ranks.
    """
    replicated = list(_replicated(model))
    whole = world.size == 1 and not recipe.offload
    for module in [model] if whole else replicated:
        module.to(world.device)
    if whole:
        return
    if not dist.is_initialized():
        _join_a_group_of_one(world.device)
    policy, offload = MixedPrecisionPolicy(), OffloadPolicy()
    if recipe.offload:
        offload = CPUOffloadPolicy(pin_memory=world.device.type == "cuda")
    if recipe.bf16 and world.device.type == "cuda":
        # Inputs keep their precision: autocast decides by operation, and noise and times need it.
        policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
    mesh = _mesh(world, recipe.shards(world.size))
    ignored = {parameter for module in replicated for parameter in module.parameters()}
    for unit in [*blocks(model), model]:
        if ignored.issuperset(unit.parameters()):
            continue
        sharded = fully_shard(unit, mesh=mesh, mp_policy=policy, offload_policy=offload, ignored_params=ignored)
        sharded.set_gradient_divide_factor(1.0)
        sharded.set_force_sum_reduction_for_comms(True)  # gloo can't multiply while it sums
        for method in FORWARDS.get(_class(unit), ()):
            register_fsdp_forward_method(unit, method)
        unit.float()
    # Otherwise the first unit that runs makes itself the root, such as a block within `full_parameters`.
    model._get_fsdp_state()._lazy_init()  # type: ignore[operator]


def _join_a_group_of_one(device: torch.device) -> None:
    """What FSDP needs of a process that torchrun did not start."""
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=HashStore(), rank=0, world_size=1)


def blocks(model: nn.Module) -> list[nn.Module]:
    """The blocks of a model that are sharded, checkpointed and compiled one by one, inner ones first."""
    found = [module for module in model.modules() if module is not model and _class(module) in BLOCKS]
    return found[::-1]


def _class(module: nn.Module) -> str:
    return type(module).__name__.removeprefix("FSDP")


def _replicated(model: nn.Module) -> Iterator[nn.Module]:
    """The frozen parts that are replicated. A rank runs them when it has uncached pictures, while another has none:
    gathering their weights would wait for ever."""
    for module in model.modules():
        if _class(module) in FROZEN and not any(parameter.requires_grad for parameter in module.parameters()):
            yield module


def _mesh(world: World, shards: int) -> DeviceMesh:
    """Neighbouring ranks, which share a machine if possible, hold one copy."""
    if shards == world.size:
        return init_device_mesh(world.device.type, (world.size,))
    return init_device_mesh(world.device.type, (world.size // shards, shards), mesh_dim_names=("copy", "shard"))


def optimizer_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The trained parameters by name, sharded, as an optimizer built after `shard` holds them.

    Names are those of the plain model, whatever wraps its modules.
    """
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()  # the root keeps its weights gathered after a forward without a backward
    return {plain_name(name): p for name, p in model.named_parameters() if p.requires_grad}


def plain_name(name: str) -> str:
    """A name without the prefixes of `torch.compile` and activation checkpointing."""
    return name.replace("_orig_mod.", "").replace("_checkpoint_wrapped_module.", "")


def local_shard(tensor: Tensor) -> Tensor:
    """This rank's shard of a tensor, in the same memory: for elementwise work, such as averages."""
    share = tensor.detach()
    return share.to_local() if isinstance(share, DTensor) else share


def clip_grad_norm(parameters: Iterable[nn.Parameter], max_norm: float) -> Tensor:
    """Clip the gradients to a total norm over all ranks' shards; returns the norm before, a scalar."""
    parameters = list(parameters)
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if isinstance(norm, DTensor):
        norm = norm.full_tensor()
    nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
    return norm


@contextlib.contextmanager
def full_parameters(model: nn.Module) -> Iterator[None]:
    """Gather all weights on every rank, to read them or to run any method without gradients; not for training."""
    units = [module for module in model.modules() if isinstance(module, FSDPModule)]
    for unit in units:
        unit.unshard()
    try:
        with torch.no_grad():
            yield
    finally:
        for unit in units:
            unit.reshard()


def meta_copy(model: nn.Module) -> nn.Module:
    """A copy of a model on the meta device, without memory for its weights. `gather_model` fills it after `shard`."""
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(torch.empty_like(parameter, device="meta"), parameter.requires_grad)
    for buffer in model.state_dict(keep_vars=True).values():
        memo.setdefault(id(buffer), torch.empty_like(buffer, device="meta"))
    return copy.deepcopy(model, memo)


@torch.no_grad()
def gather_model(model: nn.Module, target: nn.Module, values: Mapping[str, Tensor] | None = None) -> nn.Module | None:
    """Gather the unsharded model on the CPU of the first rank, to be saved or changed. A collective.

    Args:
        target: its `meta_copy`, which is filled with copies.
        values: replacements of parameters by name, such as their averages.

    Returns:
        `target`; None on the other ranks.
    """
    state: dict[str, Tensor] = {}
    writes = not dist.is_initialized() or dist.get_rank() == 0
    for name, tensor in model.state_dict().items():
        tensor = (values or {}).get(plain_name(name), tensor)
        full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        if writes:
            state[plain_name(name)] = full.detach().to("cpu", copy=True)
    if not writes:
        return None
    target.load_state_dict(state, assign=True)
    return target
