"""Attention over short sequences, as two plain products.

On a CPU they are faster than the fused kernels: four times in training at 64 tokens. Elsewhere, and for long sequences,
the fused kernels are used. On a CPU the documents of packed rows attend one by one: a product of whole rows would
mostly be masked out.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.bias import causal_lower_right
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

SHORT = 1024  # tokens
LLAMA_ATTENTION = "seedx"  # the name that a LlamaConfig chooses `llama_attention` by


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
    """(N, heads, L, d), (N, kv, M, d), (N, kv, M, d) -> (N, heads, L, d): softmax(q k' / sqrt(d)) v.

    Args:
        k, v: of as many heads as q, or fewer that neighbouring heads of q share: heads is a multiple of kv.
        mask: bool, broadcast to (N, 1, L, M), true where a query sees a key.
        causal: the queries are the last L of M tokens, and none sees a later one. Needs no mask, so that a GPU can use
            flash attention.
    """
    kv, groups, length = k.shape[1], q.shape[1] // k.shape[1], q.shape[2]
    if q.device.type != "cpu" or k.shape[-2] > SHORT:
        whole = length == k.shape[-2]
        bias: Any = causal_lower_right(length, k.shape[-2]) if causal and not whole else mask
        return F.scaled_dot_product_attention(q, k, v, bias, is_causal=causal and whole, enable_gqa=groups > 1)
    # Heads that share keys go through one product.
    queries = (q * q.shape[-1] ** -0.5).unflatten(1, (kv, groups)).flatten(2, 3)
    weights = (queries @ k.transpose(-1, -2)).unflatten(2, (groups, length))
    if causal:
        mask = torch.ones(weights.shape[-2:], dtype=torch.bool).tril(k.shape[-2] - length)[None, None]
    if mask is not None:
        weights += torch.where(mask, 0.0, torch.finfo(weights.dtype).min).to(weights.dtype)[:, :, None]
    weights = weights.softmax(dim=-1).to(v.dtype).flatten(2, 3)
    return (weights @ v).unflatten(2, (groups, length)).flatten(1, 2)


@dataclass(frozen=True)
class Documents:
    """Number of tokens of every document in packed rows, row after row, padding included."""

    lengths: list[int]


@torch.compiler.disable  # code compiled for these lengths would serve no other batch
def attend_within(q: Tensor, k: Tensor, v: Tensor, documents: Documents) -> Tensor:
    """As `attend`, of L tokens -> (N, L, heads, d): causal attention within each of the documents of N rows."""
    rows, heads, length, _ = q.shape
    if q.device.type == "cpu" and max(documents.lengths) <= SHORT:
        if torch.is_autocast_enabled("cpu"):  # here, once, and not for every document
            q, k, v = (x.to(torch.get_autocast_dtype("cpu")) for x in (q, k, v))
        k, v = (x.repeat_interleave(heads // x.shape[1], dim=1) for x in (k, v))
        apart = [x.transpose(0, 1).flatten(1, 2).split(documents.lengths, dim=1) for x in (q, k, v)]
        done = [_attend_document(a, b, c) for a, b, c in zip(*apart, strict=True)]
        return torch.cat(done, dim=1).transpose(0, 1).unflatten(0, (rows, length))
    apart = [x.transpose(1, 2).flatten(0, 1).split(documents.lengths) for x in (q, k, v)]
    pieces = [[piece.transpose(0, 1)[None] for piece in each] for each in apart]
    done = [attend(a, b, c, causal=True) for a, b, c in zip(*pieces, strict=True)]
    return torch.cat([piece[0].transpose(0, 1) for piece in done]).unflatten(0, (rows, length))


def _attend_document(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """(heads, L, d) three times -> (heads, L, d)."""
    heads, length, width = q.shape
    later = _later(q.dtype)[:length, :length].expand(heads, -1, -1)
    weights = torch.baddbmm(later, q, k.transpose(1, 2), alpha=width**-0.5).softmax(dim=-1)
    return torch.bmm(weights.to(v.dtype), v)


@functools.cache
def _later(dtype: torch.dtype) -> Tensor:
    """(SHORT, SHORT), to be added to scores: no token sees a later one."""
    with torch.inference_mode(False):
        return torch.full((SHORT, SHORT), torch.finfo(dtype).min, dtype=dtype).triu(1)


def llama_attention(
    module: nn.Module,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attention_mask: Tensor | None,
    documents: Documents | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """`attend` with the signature that transformers' decoder layers call: a mask of None is causal."""
    if documents is not None:
        return attend_within(q, k, v, documents), None
    causal = attention_mask is None and q.shape[-2] > 1
    return attend(q, k, v, attention_mask, causal).transpose(1, 2).contiguous(), None


def register_llama_attention() -> None:
    """Make `llama_attention` known to transformers, whose layers find their attention by name. Calling it again is
    harmless."""
    ALL_ATTENTION_FUNCTIONS.register(LLAMA_ATTENTION, llama_attention)
