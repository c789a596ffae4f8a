"""An output resampler of several cross-attention layers, to compare with the single layer of the paper.

The first layer is a `QueryResampler`. Each further layer reads the same tokens again from the output so far, as in a
Perceiver: pre-norm attention and an MLP, each with a residual connection. The library knows the single layer only; this
module replaces it after a model was built, and adds the training stage of such a model.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from seedx.checkpoint import native
from seedx.config import Config
from seedx.model.resampler import QueryResampler, resize_positions
from seedx.model.seedx import SeedX
from seedx.train.engine import components
from seedx.train.recipe import Recipe
from seedx.train.stages.language import LanguageStage

EPS = 1e-5


class DeepResampler(QueryResampler):
    """(N, L, input_dim) -> (N, queries, dim). `layers` is at least 2; the other arguments are `QueryResampler`'s."""

    def __init__(self, layers: int, queries: int, dim: int, heads: int, input_dim: int) -> None:
        super().__init__(queries, dim, heads, input_dim)
        self.further = nn.ModuleList(FurtherLayer(dim, heads) for _ in range(layers - 1))

    def forward(self, x: Tensor) -> Tensor:
        tokens, features = self.kv_proj(x), super().forward(x)
        for layer in self.further:
            features = layer(features, tokens, self.positions)
        return features


class FurtherLayer(nn.Module):
    """Features (N, queries, dim) read tokens (N, L, dim), with the positions of the first layer."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.ln_q, self.ln_kv, self.ln_mlp = (nn.LayerNorm(dim, eps=EPS) for _ in range(3))
        self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        for weight in (self.attn.in_proj_weight, self.attn.out_proj.weight, self.up.weight, self.down.weight):
            nn.init.trunc_normal_(weight, std=0.02)

    def forward(self, features: Tensor, tokens: Tensor, positions: Tensor) -> Tensor:
        tokens = self.ln_kv(tokens)
        query = self.ln_q(features) + positions.to(features.dtype)
        key = tokens + resize_positions(positions, tokens.shape[1]).to(tokens.dtype)
        features = features + self.attn(query, key, tokens, need_weights=False)[0]
        mlp: Tensor = self.down(F.gelu(self.up(self.ln_mlp(features))))
        return features + mlp


def deepen(seedx: SeedX, layers: int) -> SeedX:
    """Give a model an output resampler of this many layers; a single layer leaves it as it is."""
    bridge, vision, dim = seedx.config.bridge, seedx.config.vision, seedx.config.language.hidden_size
    if layers > 1:
        seedx.output_resampler = DeepResampler(layers, vision.pooled, vision.output_dim, bridge.output_heads, dim)
    return seedx


def stored_layers(folder: Path) -> int:
    """The number of layers of the output resampler in a model folder."""
    further = (re.match(r"output_resampler\.further\.(\d+)\.", name) for name in native.read_part(folder, "bridge"))
    return 2 + max((int(match[1]) for match in further if match), default=-1)


class DeepLanguageStage(LanguageStage):
    """The stage "language" on a model whose output resampler has as many layers as the folder's."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.layers = stored_layers(components.source(recipe, folder).folder)
        super().__init__(recipe, folder)

    def build_model(self, config: Config) -> SeedX:
        return deepen(super().build_model(config), self.layers)
