"""One micro-batch of a stage, on a model without memory: what `Meter` runs.

The steps do what the stages' losses do, with the numbers of tiles, drawn images and learned tokens given: on tensors
without values a mask can't be counted.

The model's parameters become fake tensors of the CPU, so that autocast acts on them as on real ones. A GPU differs in
four points. `like_gpu` sets three: attention is one kernel, the documents of a row are kept apart by a mask (a CPU
takes them one by one), and norms compute in float32 under autocast. The fourth is `meter`'s: FSDP hands the modules
their weights in bfloat16.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from seedx.model import attention
from seedx.model.attention import Documents
from seedx.model.detokenizer import Detokenizer
from seedx.model.losses import regression
from seedx.model.seedx import SeedX
from seedx.model.vision import VisionTransformer, pool_features
from seedx.train.engine.activation_checkpoint import recomputed
from seedx.train.engine.parallel import FROZEN
from seedx.train.planning.meter import Measured, Meter


@dataclass(frozen=True)
class Load:
    """What one micro-batch holds.

    Attributes:
        rows: packed rows of the language model, or pictures of the de-tokenizer.
        length: tokens of a row, or the side of a picture in pixels.
        tiles, drawn: images read (thumbnails included) and drawn, in all rows together.
        learned: supervised tokens in all rows together.
        documents: in each row, of equal lengths here.
    """

    rows: int
    length: int
    tiles: int = 0
    drawn: int = 0
    learned: int = 0
    documents: int = 1


class LanguageStep(nn.Module):
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
        model, queries = self.model, self.model.config.bridge.queries
        size, pool = model.config.vision.image_size, model.config.vision.pool
        features = model.vision(torch.empty(load.tiles + load.drawn, 3, size, size))
        read = model.read(features[: load.tiles], torch.empty(load.tiles, 2))
        embeds = model.language.embed(torch.zeros(load.rows, load.length, dtype=torch.int64))
        placeholders = torch.zeros(load.rows, load.length, 1, dtype=torch.bool)
        embeds = embeds.masked_scatter(placeholders, read.to(embeds.dtype))
        states = self.states(embeds, load.documents).flatten(0, 1)
        labels = torch.zeros(load.learned, dtype=torch.int64)
        text = F.cross_entropy(model.language.head(states[labels]).float(), labels, reduction="sum")
        places = torch.zeros(load.drawn * queries, dtype=torch.int64)
        drawn = model.draw_features(states[places].unflatten(0, (load.drawn, queries)))
        wanted = pool_features(features[load.tiles :], pool)
        return text + regression(drawn.float(), wanted.float(), model.config.bridge)

    def states(self, x: Tensor, documents: int) -> Tensor:
        """`Language.states`: fake positions can't tell where documents begin."""
        llm, (rows, length) = self.model.language.llm.model, x.shape[:2]
        apart = kept_apart(rows, length, documents) if documents > 1 else {"attention_mask": None}
        rotations = llm.rotary_emb(x, torch.zeros(rows, length, dtype=torch.int64))
        for layer in llm.layers:
            x = layer(x, position_embeddings=rotations, cache=None, **apart)
        return llm.norm(x)


class DetokenizerStep(nn.Module):
    """With the frozen visual tokenizer beside it."""

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
        features = self.vision(torch.empty(load.rows, 3, size, size))
        with torch.no_grad(), torch.autocast("cpu", enabled=False):  # SDXL's autoencoder overflows in half precision
            pixels = torch.empty(load.rows, 3, load.length, load.length)
            latents = model.vae.encode(pixels)
            condition = model.condition(pixels) if model.config.condition else None
        prompt, pooled = model.context(features)
        times = torch.zeros(load.rows, dtype=torch.int64)
        noise = torch.randn_like(latents)
        ids = torch.zeros(load.rows, 6, dtype=torch.int64)
        predicted = model.predict(latents + noise, times, prompt, pooled, ids, condition)
        return F.mse_loss(predicted.float(), noise)


Step = LanguageStep | DetokenizerStep


def meter(
    make: Callable[[], Step], load: Load, *, gpu: bool, sharded: bool, bf16: bool, checkpointing: bool
) -> Measured:
    """Forward and backward of one micro-batch.

    Args:
        make: a fresh step with its model on the meta device.
        gpu: with a GPU's kernels, else a CPU's.
        sharded: as under FSDP, which hands out weights in bfloat16 and takes gradients as soon as they are there.
    """
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        step = make().train()
        pretend(step, mode, torch.bfloat16 if sharded and bf16 else torch.float32)
        if checkpointing:
            recomputed(step)
        if sharded:
            for parameter in step.parameters():
                if parameter.requires_grad:
                    parameter.register_post_accumulate_grad_hook(_forget)
        with like_gpu() if gpu else contextlib.nullcontext(), Meter(step, step.parts) as meter:
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = step(load)
            loss.backward()
        return meter.reading


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


def kept_apart(rows: int, length: int, documents: int) -> dict[str, Any]:
    """What keeps the documents of packed rows apart, as `Language.states` gives it to the layers of a CPU's model."""
    shorter, longer = length // documents, length - length // documents * (documents - 1)
    return {"attention_mask": None, "documents": Documents(([shorter] * (documents - 1) + [longer]) * rows)}


def masked(rows: int, length: int, documents: int) -> dict[str, Any]:
    """`kept_apart` on a GPU."""
    return {"attention_mask": torch.ones(rows, 1, length, length, dtype=torch.bool)}


def _forget(parameter: Tensor) -> None:
    parameter.grad = None


@contextlib.contextmanager
def like_gpu() -> Iterator[None]:
    """See the top of the file."""

    def in_float32(function: Any) -> Any:
        def norm(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            weights = [value.float() if isinstance(value, Tensor) else value for value in args]
            named = {key: value.float() if isinstance(value, Tensor) else value for key, value in kwargs.items()}
            return function(x.float(), *weights, **named)

        return norm

    with (
        mock.patch.object(F, "scaled_dot_product_attention", _one_kernel),
        mock.patch.object(F, "layer_norm", in_float32(F.layer_norm)),
        mock.patch.object(F, "group_norm", in_float32(F.group_norm)),
        mock.patch.object(attention, "SHORT", 0),
        mock.patch(f"{__name__}.kept_apart", masked),
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
        attn_mask = attn_mask.to(query.dtype).expand(*query.shape[:-1], key.shape[-2])
    keeps = torch.is_grad_enabled() and any(x.requires_grad for x in (query, key, value))
    kernel = torch.ops.aten._scaled_dot_product_efficient_attention
    return kernel(query, key, value, attn_mask, keeps, dropout_p, is_causal)[0]
