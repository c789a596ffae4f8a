"""Many processes as one: who takes part, and a model spread over them from outside.

`torchrun` starts the processes and tells each who it is by environment variables; without them there is one process
and nothing distributed runs. The model knows nothing of this. FSDP2 (`fully_shard`) keeps a share of every parameter,
of its gradient and of its optimiser state on each rank, gathers a block's weights when the block runs, and adds the
ranks' gradients up. They are summed, never averaged: the loop divides its losses by counts of the whole global batch.

How a sharded model differs for whoever holds it:
    - its parameters are DTensors: `optimised` gives them as the optimiser holds them, `local` this rank's share;
    - weights are there only while the model's forward runs, or a method in `FORWARDS`, or within `gathered`;
    - all ranks must do all of this together, in the same order, whatever their data: a rank without pictures runs the
      modules that read pictures on an empty batch.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import logging
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.elastic.multiprocessing.errors import get_error_handler
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from seedx.errors import SeedxError

log = logging.getLogger(__name__)
CPU = torch.device("cpu")

# Classes whose weights are gathered together, by name: no model has to be imported to shard another. The rest of a
# model (embeddings, head, resamplers, norms, positions) is one more unit.
BLOCKS = frozenset({"LlamaDecoderLayer", "Block", "PerceiverLayer", "BasicTransformerBlock", "ResnetBlock2D"})
# Never sharded while nothing in them is trained.
FROZEN = frozenset({"VisionTransformer", "Autoencoder"})
# What a training step calls instead of `forward`. None of them calls another.
FORWARDS = {"Detokenizer": ("context", "predict"), "Autoencoder": ("mode", "decode")}


@dataclass(frozen=True)
class World:
    """All processes of a run, as one of them sees them."""

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
    """What `shard` reads of a recipe."""

    @property
    def bf16(self) -> bool: ...

    def shards(self, ranks: int) -> int: ...


def world() -> World:
    """Join the processes that torchrun started: NCCL on GPUs, gloo on the CPU. Without torchrun: one process.

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


def here() -> World:
    """The processes that `world` has joined, for what is built before a run begins. Its tensors are the CPU's."""
    return World(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else World()


def close(world: World, *objects: object) -> None:
    """Part in order, after everything went well. After a failure don't call it: others may never come.

    Args:
        objects: models, optimisers and what else holds sharded tensors. They are emptied, not to be used again: what
            of theirs still lives when the process group is gone can abort the process at its exit.
    """
    if world.size > 1:
        for holder in objects:
            vars(holder).clear()
    gc.collect()
    if world.size > 1:
        dist.barrier()
        dist.destroy_process_group()


@contextlib.contextmanager
def reported(world: World) -> Iterator[None]:
    """Tell which rank failed and why, in this process's log and in torchrun's summary, and raise on."""
    handler = get_error_handler()
    try:
        yield
    except Exception as error:
        if world.size > 1:
            cause = "another rank is gone" if _lost(error) else f"{type(error).__name__}: {error}"
            log.error("rank %d of %d stops: %s. The last checkpoint stays.", world.rank, world.size, cause)
            handler.record_exception(error)  # torchrun shows the earliest of them
        raise


def _lost(error: Exception) -> bool:
    """Whether the connection to another rank broke."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def shard(model: nn.Module, world: World, recipe: Sharding) -> None:
    """Spread a model's parameters over the ranks, in place; one process only moves it to its device.

    On GPUs with `recipe.bf16` weights are gathered and computed with in bfloat16 and gradients summed in float32; the
    optimiser's are float32. On the CPU everything stays float32, so that many processes do what one does.

    Weights may be in half precision, and views of files (`parts.read`): each rank reads and keeps its share of a unit
    before the next one is touched. They are float32 afterwards.

    Raises:
        SeedxError: ranks that can't hold the recipe's `replicas`.
    """
    kept = list(_replicated(model))
    for module in [model] if world.size == 1 else kept:
        module.to(world.device)
    if world.size == 1:
        return
    policy = MixedPrecisionPolicy()
    if recipe.bf16 and world.device.type == "cuda":
        # Inputs keep their precision: autocast decides by operation, and noise and times need it.
        policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
    mesh = _mesh(world, recipe.shards(world.size))
    ignored = {parameter for module in kept for parameter in module.parameters()}
    for unit in [*blocks(model), model]:
        if ignored.issuperset(unit.parameters()):
            continue
        sharded = fully_shard(unit, mesh=mesh, mp_policy=policy, ignored_params=ignored)
        sharded.set_gradient_divide_factor(1.0)
        sharded.set_force_sum_reduction_for_comms(True)  # gloo can't multiply while it sums
        for method in FORWARDS.get(_class(unit), ()):
            register_fsdp_forward_method(unit, method)
        unit.float()
    warnings.filterwarnings("ignore", message=".*returned a view tensor")  # it would be wrong to change it in place
    # Otherwise the first unit that runs makes itself the root, such as a block within `gathered`.
    model._get_fsdp_state()._lazy_init()  # type: ignore[operator]


def blocks(model: nn.Module) -> list[nn.Module]:
    """The units of a model that are gathered (or checkpointed, or compiled) one at a time, inner ones first."""
    found = [module for module in model.modules() if module is not model and _class(module) in BLOCKS]
    return found[::-1]


def _class(module: nn.Module) -> str:
    return type(module).__name__.removeprefix("FSDP")


def _replicated(model: nn.Module) -> Iterator[nn.Module]:
    """The frozen parts that stay whole on every rank. A rank runs them when it has pictures that no cache holds, while
    another has none: gathering their weights would wait for it for ever."""
    for module in model.modules():
        if _class(module) in FROZEN and not any(parameter.requires_grad for parameter in module.parameters()):
            yield module


def _mesh(world: World, shards: int) -> DeviceMesh:
    """Neighbouring ranks, which share a machine where they can, hold one copy between them."""
    if shards == world.size:
        return init_device_mesh(world.device.type, (world.size,))
    return init_device_mesh(world.device.type, (world.size // shards, shards), mesh_dim_names=("copy", "shard"))


def optimised(model: nn.Module) -> dict[str, nn.Parameter]:
    """The trained parameters by name, sharded: the objects that an optimiser made after `shard` holds.

    Names are those of the plain model, whatever wraps its modules.
    """
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()  # the root keeps its weights gathered after a forward without a backward
    return {plain_name(name): p for name, p in model.named_parameters() if p.requires_grad}


def plain_name(name: str) -> str:
    """Without what `torch.compile` and activation checkpointing put between."""
    return name.replace("_orig_mod.", "").replace("_checkpoint_wrapped_module.", "")


def local(tensor: Tensor) -> Tensor:
    """This rank's share of a tensor, sharing its memory: for work that is done value by value, such as averages."""
    share = tensor.detach()
    return share.to_local() if isinstance(share, DTensor) else share


def clip(parameters: Iterable[nn.Parameter], most: float) -> Tensor:
    """Scale the gradients down to a total norm of `most`; the norm before, a scalar, over all ranks' shares."""
    parameters = list(parameters)
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if isinstance(norm, DTensor):
        norm = norm.full_tensor()
    nn.utils.clip_grads_with_norm_(parameters, most, norm)
    return norm


@contextlib.contextmanager
def gathered(model: nn.Module) -> Iterator[None]:
    """All weights whole on every rank, to read or to draw with any method; not to train, and without gradients."""
    units = [module for module in model.modules() if isinstance(module, FSDPModule)]
    for unit in units:
        unit.unshard()
    try:
        with torch.no_grad():
            yield
    finally:
        for unit in units:
            unit.reshard()


def skeleton(model: nn.Module) -> nn.Module:
    """A copy of a model without memory for its weights, on the meta device. Made before `shard`, filled by `whole`."""
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(torch.empty_like(parameter, device="meta"), parameter.requires_grad)
    for buffer in model.state_dict(keep_vars=True).values():
        memo.setdefault(id(buffer), torch.empty_like(buffer, device="meta"))
    return copy.deepcopy(model, memo)


@torch.no_grad()
def whole(model: nn.Module, frame: nn.Module, values: Mapping[str, Tensor] | None = None) -> nn.Module | None:
    """The whole model on the first rank's CPU, to be saved or changed; None on the others, which take part.

    Args:
        frame: its `skeleton`, which is filled with copies.
        values: what stands for parameters of these names, such as their averages.
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
    frame.load_state_dict(state, assign=True)
    return frame
