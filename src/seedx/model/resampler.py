"""`QueryResampler`: learned queries read any number of tokens by one cross-attention.

The same layer three times: as the pool of the visual tokenizer, before the language model and after it. Its surprises:
the positions are fixed sines, stored in checkpoints as in the release; they are added to queries and keys, not to
values; and keys of another grid than the queries' see them resized bicubically.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedx.errors import SeedxError
from seedx.model.attention import attend


class QueryResampler(nn.Module):
    """(N, L, input_dim) -> (N, queries, dim), for any square L.

    Args:
        queries: number of tokens out, a square.
        input_dim: width of the tokens that are read; None or `dim`: there is no key projection.
        eps: of both LayerNorms; the release has 1e-6 in the visual tokenizer and 1e-5 around the language model.
    """

    positions: Tensor

    def __init__(self, queries: int, dim: int, heads: int, input_dim: int | None = None, eps: float = 1e-5) -> None:
        super().__init__()
        side = square_side(queries, "queries")
        if dim % heads or dim % 4:
            raise SeedxError(f"a resampler's width must be a multiple of its heads ({heads}) and of 4, not {dim}")
        self.query = nn.Parameter(torch.empty(queries, dim))
        self.register_buffer("positions", sincos_positions(side, dim))
        projects = input_dim is not None and input_dim != dim
        self.kv_proj = nn.Linear(input_dim, dim, bias=False) if projects else nn.Identity()  # type: ignore[arg-type]
        self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.ln_q = nn.LayerNorm(dim, eps=eps)
        self.ln_kv = nn.LayerNorm(dim, eps=eps)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.trunc_normal_(self.query, std=0.02)
        if isinstance(self.kv_proj, nn.Linear):
            nn.init.trunc_normal_(self.kv_proj.weight, std=0.02)
        nn.init.trunc_normal_(self.attn.in_proj_weight, std=0.02)
        nn.init.trunc_normal_(self.attn.out_proj.weight, std=0.02)

    @torch.no_grad()
    def init_local(self, sharpness: float = 4.0, damp: float = 0.1) -> None:
        """Initialise so that every query attends to the tokens of its own place, and passes them on.

        For training a small model from scratch: from random weights the attention starts as the mean of all tokens, and
        learns places last. Queries and keys select the channels whose waves change fastest from place to place, in
        every head alike; `damp` scales down whatever else is in those channels.

        Args:
            sharpness: by how much the attention logit of a place one step away is lower.
            damp: scale of the norms in the selected channels.
        """
        dim, heads = self.query.shape[1], self.attn.num_heads
        each = dim // heads // 4  # waves a head can hold, each with sine and cosine of the column and of the row
        stride = max(1, dim // 16 // each)
        channels = torch.cat([side * (dim // 4) + stride * torch.arange(each) for side in range(4)])
        step = (1 - torch.cos(10000.0 ** -(stride * torch.arange(each) / (dim // 4)))).sum()
        select = torch.zeros(4 * each, dim)
        select[torch.arange(4 * each), channels] = (sharpness * math.sqrt(dim // heads) / step).sqrt()
        turn = nn.init.orthogonal_(torch.empty(dim, dim))
        self.attn.in_proj_weight.copy_(torch.cat([select.repeat(heads, 1), select.repeat(heads, 1), turn]))
        self.attn.out_proj.weight.copy_(turn.T)
        self.ln_q.weight.fill_(damp)
        self.ln_kv.weight[channels] = damp

    def forward(self, x: Tensor) -> Tensor:
        x = self.ln_kv(self.kv_proj(x))
        query = self.ln_q(self.query) + self.positions.to(x.dtype)
        key = x + resize_positions(self.positions, x.shape[1]).to(x.dtype)
        return self._attend(query, key, x)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """What `attn` would do, whose weights these are: (Q, dim), (N, L, dim), (N, L, dim) -> (N, Q, dim).

        Its own forward lays tokens out before images. If weights are frozen, torch then multiplies token by token, and
        in half precision on a CPU copies the weights for each of them: 34 GB for 1024 tokens of width 4096.
        """
        weights, biases = self.attn.in_proj_weight.chunk(3), self.attn.in_proj_bias.chunk(3)
        projected = [F.linear(*each) for each in zip((query[None], key, value), weights, biases, strict=True)]
        q, k, v = (each.unflatten(-1, (self.attn.num_heads, -1)).transpose(1, 2) for each in projected)
        out = attend(q.expand(len(key), -1, -1, -1), k, v)
        joined: Tensor = self.attn.out_proj(out.transpose(1, 2).flatten(2))
        return joined


def square_side(count: int, what: str) -> int:
    """The side of a square of `count` tokens.

    Raises:
        SeedxError: `count` is not a square.
    """
    side = math.isqrt(count)
    if side * side != count:
        raise SeedxError(f"{what} must be a square number (1, 4, 9, 16, ...), not {count}")
    return side


def sincos_positions(side: int, dim: int) -> Tensor:
    """(side², dim) fixed positions in raster order: sines then cosines of the column, then the same of the row."""
    frequencies = 10000.0 ** -(torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    angles = torch.arange(side, dtype=torch.float64)[:, None] * frequencies
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)  # (side, dim // 2)
    columns = waves[None, :, :].expand(side, side, -1)
    rows = waves[:, None, :].expand(side, side, -1)
    return torch.cat([columns, rows], dim=-1).reshape(side * side, dim).float()


def resize_positions(positions: Tensor, count: int) -> Tensor:
    """(G², dim) -> (count, dim): a square grid of positions resized bicubically, in float32, to `count` tokens."""
    if len(positions) == count:
        return positions
    source, target = square_side(len(positions), "positions"), square_side(count, "tokens read by a resampler")
    grid = positions.float().reshape(1, source, source, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=(target, target), mode="bicubic", align_corners=False)
    return grid.permute(0, 2, 3, 1).reshape(count, -1).to(positions.dtype)
