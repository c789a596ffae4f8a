"""One micro-batch of a stage, forward and backward, on a model without weights: what `Meter` measures.

The modules and the losses are the real ones. Floating-point tensors are fake: they have shapes and no data. Integers
and booleans are real, because masks decide shapes: `states[supervised]` has as many rows as there are labels.

The model's parameters become fake tensors of the CPU, so that autocast acts on them as on real ones. A GPU differs in
four points. `like_gpu` sets three: attention is one kernel, the documents of a row are kept apart by a mask (a CPU
takes them one by one), and norms compute in float32 under autocast. The fourth is `measure`'s: FSDP gathers weights in
bfloat16.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from seedx.batch import IGNORE, Batch
from seedx.config import Config
from seedx.model import attention, language
from seedx.model.detokenizer import Detokenizer
from seedx.model.losses import Losses
from seedx.model.seedx import SeedX
from seedx.model.vision import VisionTransformer, pool_features
from seedx.train.engine.activation_checkpoint import apply_activation_checkpointing
from seedx.train.engine.parallel import FROZEN, blocks
from seedx.train.planning.meter import Measured, Meter

DEEP = 8  # a stack of more equal blocks than this is extrapolated
FEW = 2  # blocks of it that run


@dataclass(frozen=True)
class Load:
    """The contents of one micro-batch.

    Attributes:
        rows: packed rows of the language model, or pictures of the de-tokenizer.
        length: tokens of a row, or the side of a picture in pixels.
        tiles, drawn: images read (thumbnails included) and drawn, in all rows together.
        supervised: tokens with a label, in all rows together.
        documents: in each row, of equal lengths.
    """

    rows: int
    length: int
    tiles: int = 0
    drawn: int = 0
    supervised: int = 0
    documents: int = 1


class LanguageStep(nn.Module):
    """`SeedX.forward` on a packed batch."""

    parts: ClassVar = {
        "model.vision": "visual tokenizer",
        "model.input_resampler": "input resampler",
        "model.output_resampler": "output resampler",
        "model.language": "language model",
        "model.language.llm.lm_head": "head",
    }

    def __init__(self, model: SeedX) -> None:
        super().__init__()
        self.model = model

    def forward(self, load: Load) -> Tensor:
        losses: Losses = self.model(packed_batch(self.model.config, load))
        return losses.total


class DetokenizerStep(nn.Module):
    """`Detokenizer.loss` after the frozen models that encode its pictures."""

    parts: ClassVar = {
        "vision": "visual tokenizer",
        "model.vae": "autoencoder",
        "model.resampler": "resampler",
        "model.unet": "U-Net",
    }

    def __init__(self, model: Detokenizer, vision: VisionTransformer) -> None:
        super().__init__()
        self.model, self.vision = model, vision

    def forward(self, load: Load) -> Tensor:
        model, size = self.model, self.vision.config.image_size
        with torch.no_grad():
            features = pool_features(self.vision(torch.zeros(load.rows, 3, size, size)), self.vision.config.pool)
            with torch.autocast("cpu", enabled=False):  # SDXL's autoencoder overflows in half precision
                pixels = torch.zeros(load.rows, 3, load.length, load.length)
                latents = model.vae.encode(pixels)
                condition = model.condition(pixels) if model.config.condition else None
        timesteps = torch.zeros(load.rows, dtype=torch.int64)
        return model.loss(latents, features, condition, torch.randn_like(latents), timesteps)


Step = LanguageStep | DetokenizerStep


def packed_batch(config: Config, load: Load) -> Batch:
    """Placeholders of tiles come first, those of drawn images last; labels fill the rows one after the other."""
    shape, queries, size = (load.rows, load.length), config.bridge.queries, config.vision.image_size
    ids = torch.zeros(shape, dtype=torch.int64)
    read, draw = torch.zeros(shape, dtype=torch.bool), torch.zeros(shape, dtype=torch.bool)
    read.view(-1)[: load.tiles * queries] = True
    draw.view(-1)[load.rows * load.length - load.drawn * queries :] = True
    unsupervised = torch.arange(load.rows * (load.length - 1), dtype=torch.int64) >= load.supervised
    labels = F.pad(unsupervised.view(load.rows, -1).long() * IGNORE, (1, 0), value=IGNORE)
    positions = torch.arange(load.length, dtype=torch.int64) % -(-load.length // load.documents)
    return Batch(
        ids,
        labels,
        positions.repeat(load.rows, 1),
        read,
        draw,
        tiles=torch.zeros(load.tiles, 3, size, size),
        tile_positions=torch.zeros(load.tiles, 2),
        targets=torch.zeros(load.drawn, 3, size, size),
    )


def measure(step: Step, load: Load, *, gpu: bool, sharded: bool, bf16: bool, checkpointing: bool) -> Measured:
    """Forward and backward of one micro-batch.

    Args:
        step: with its model on the meta device; it stays as it is.
        gpu: with a GPU's kernels, else a CPU's.
        sharded: as under FSDP, which gathers weights in bfloat16 and takes away gradients as soon as they are complete.
    """
    step = copy.deepcopy(step).train()
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        pretend(step, mode, torch.bfloat16 if sharded and bf16 else torch.float32)
        if checkpointing:
            apply_activation_checkpointing(step)
        if sharded:
            for parameter in step.parameters():
                if parameter.requires_grad:
                    parameter.register_post_accumulate_grad_hook(_forget)
        integers = RealIntegers()  # type: ignore[no-untyped-call]
        meter = Meter(step, step.parts)
        with like_gpu() if gpu else contextlib.nullcontext(), integers, meter:
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = step(load)
            loss.backward()
        return meter.reading


def shortened(model: nn.Module) -> dict[str, int]:
    """Drop most blocks of a model's deep stacks, in place; the stacks' names and their numbers of blocks before."""
    inner, depths = set(blocks(model)), {}
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.ModuleList) and len(module) > DEEP and inner.issuperset(module):
            depths[name] = len(module)
            del module[FEW + 1 :]
    return depths


def extrapolated(step: Step, depths: Mapping[str, int], load: Load, **how: bool) -> Measured:
    """As `measure` (without the operations), of a model whose stacks are as deep as `depths`, on what is left of it.

    Every further block of a stack adds the same FLOPs, and the same bytes to the peak of each part.
    """

    def read(longer: int = 0) -> Measured:
        """With `FEW` blocks in each stack, and one more in those that were `longer` blocks deep."""
        short = copy.deepcopy(step)
        for name, depth in depths.items():
            if depth != longer:
                del short.get_submodule(name)[FEW:]  # type: ignore[operator]
        return measure(short, load, **how)

    base = read()
    total = Measured(base.flops.copy(), base.peaks.copy())
    for depth in set(depths.values()):
        more = read(depth)
        for values, one, fewer in ((total.flops, more.flops, base.flops), (total.peaks, more.peaks, base.peaks)):
            for part in values:
                values[part] += (depth - FEW) * (one[part] - fewer[part])
    return total


class RealIntegers(TorchDispatchMode):
    """Within a `FakeTensorMode`: operations on integers and booleans alone are computed, all others are faked."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        dtype = kwargs.get("dtype")
        created = not tensors and dtype is not None and not dtype.is_floating_point
        if created or (tensors and not any(isinstance(tensor, FakeTensor) for tensor in tensors)):
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        if func is torch.ops.aten.index.Tensor:
            args = (args[0], _indices(args[1]))
        return func(*args, **kwargs)


def _indices(given: list[Tensor | None]) -> list[Tensor | None]:
    """Boolean masks as integers, whose number a fake tensor can tell."""
    found: list[Tensor | None] = []
    for index in given:
        if index is not None and index.dtype == torch.bool:
            with unset_fake_temporarily():
                found += index.nonzero().unbind(1)
        else:
            found.append(index)
    return found


def pretend(model: nn.Module, mode: FakeTensorMode, dtype: torch.dtype) -> None:
    """Turn parameters and buffers into fake ones of the CPU, in place; frozen models that stay whole stay float32."""
    for module in model.children():
        pretend(module, mode, torch.float32 if type(module).__name__ in FROZEN else dtype)
    for tensors in (model._parameters, model._buffers):
        for name, tensor in tensors.items():
            if tensor is not None:
                kept = dtype if tensor.is_floating_point() else tensor.dtype
                fake: Any = FakeTensor(mode, tensor.detach().to("meta", kept), torch.device("cpu"))
                tensors[name] = nn.Parameter(fake, tensor.requires_grad) if tensors is model._parameters else fake


def _forget(parameter: Tensor) -> None:
    parameter.grad = None


@contextlib.contextmanager
def like_gpu() -> Iterator[None]:
    """See the top of the file."""

    def in_float32(function: Any) -> Any:
        def norm(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            weights = [value.float() if isinstance(value, Tensor) else value for value in args]
            named = {key: value.float() if isinstance(value, Tensor) else value for key, value in kwargs.items()}
            normed: Tensor = function(x.float(), *weights, **named)
            return normed

        return norm

    with (
        mock.patch.object(F, "scaled_dot_product_attention", _one_kernel),
        mock.patch.object(F, "layer_norm", in_float32(F.layer_norm)),
        mock.patch.object(F, "group_norm", in_float32(F.group_norm)),
        mock.patch.object(attention, "SHORT", 0),
        mock.patch.object(language, "find_documents", lambda _: None),
    ):
        yield


def _one_kernel(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **_: Any,
) -> Tensor:
    """`scaled_dot_product_attention` by the kernel that takes masks and never holds the matrix of weights."""
    query, key, value = (x.to(torch.bfloat16) if torch.is_autocast_enabled("cpu") else x for x in (query, key, value))
    if attn_mask is not None:
        # A boolean mask becomes one that is added.
        attn_mask = query.new_zeros(attn_mask.shape).expand(*query.shape[:-1], key.shape[-2])
    keeps = torch.is_grad_enabled() and any(x.requires_grad for x in (query, key, value))
    kernel = torch.ops.aten._scaled_dot_product_efficient_attention
    attended: Tensor = kernel(query, key, value, attn_mask, keeps, dropout_p, is_causal)[0]
    return attended
