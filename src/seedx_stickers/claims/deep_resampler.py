"""An output resampler of several cross-attention layers, to compare with the one layer that the paper chose.

The first layer is a `QueryResampler`. In each further one, what came out so far reads the same tokens again, as in a
Perceiver: pre-norm attention and an MLP, each added to what was there.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from seedx.model.resampler import QueryResampler, resize_positions

EPS = 1e-5


class DeepResampler(nn.Module):
    """(N, L, input_dim) -> (N, queries, dim). Arguments are those of `QueryResampler`; `layers` is at least 2."""

    def __init__(self, layers: int, queries: int, dim: int, heads: int, input_dim: int) -> None:
        super().__init__()
        self.first = QueryResampler(queries, dim, heads, input_dim)
        self.further = nn.ModuleList(FurtherLayer(dim, heads) for _ in range(layers - 1))

    def init_local(self) -> None:
        self.first.init_local()

    def forward(self, x: Tensor) -> Tensor:
        tokens, drawn = self.first.kv_proj(x), self.first(x)
        for layer in self.further:
            drawn = layer(drawn, tokens, self.first.positions)
        return drawn


class FurtherLayer(nn.Module):
    """What is drawn (N, queries, dim) reads tokens (N, L, dim), with the positions of the first layer."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.ln_q, self.ln_kv, self.ln_mlp = (nn.LayerNorm(dim, eps=EPS) for _ in range(3))
        self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        for weight in (self.attn.in_proj_weight, self.attn.out_proj.weight, self.up.weight, self.down.weight):
            nn.init.trunc_normal_(weight, std=0.02)

    def forward(self, drawn: Tensor, tokens: Tensor, positions: Tensor) -> Tensor:
        tokens = self.ln_kv(tokens)
        query = self.ln_q(drawn) + positions.to(drawn.dtype)
        key = tokens + resize_positions(positions, tokens.shape[1]).to(tokens.dtype)
        drawn = drawn + self.attn(query, key, tokens, need_weights=False)[0]
        return drawn + self.down(F.gelu(self.up(self.ln_mlp(drawn))))
