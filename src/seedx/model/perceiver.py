"""Perceiver resampler: image features of any number -> the context of SDXL's U-Net.

    B images, N features an image (pooled or not: 64 or 256 in the release), F their width
    Q latents, C = C1 + C2 the U-Net's cross-attention width (768 + 1280 in the release: where two text encoders stood)

The release's surprises: keys come from features and latents together; inside the layers only the norms have biases;
`normalize` divides by the norm over the tokens, not over the channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seedx.config import DetokenizerConfig


class PerceiverAttention(nn.Module):
    """Latents attend to the features and to themselves."""

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_features = nn.LayerNorm(dim)
        self.norm_latents = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, heads * head_dim, bias=False)
        self.key_value = nn.Linear(dim, 2 * heads * head_dim, bias=False)
        self.out = nn.Linear(heads * head_dim, dim, bias=False)

    def forward(self, features: Tensor, latents: Tensor) -> Tensor:
        features, latents = self.norm_features(features), self.norm_latents(latents)
        query = split_heads(self.query(latents), self.heads)
        keys, values = self.key_value(torch.cat([features, latents], dim=1)).chunk(2, dim=-1)
        attended = F.scaled_dot_product_attention(query, split_heads(keys, self.heads), split_heads(values, self.heads))
        return self.out(join_heads(attended))


class PerceiverLayer(nn.Module):
    def __init__(self, config: DetokenizerConfig) -> None:
        super().__init__()
        dim, inner = config.dim, config.dim * config.ff_mult
        self.attention = PerceiverAttention(dim, config.heads, config.head_dim)
        self.mlp_norm = nn.LayerNorm(dim)
        self.mlp_up = nn.Linear(dim, inner, bias=False)
        self.mlp_down = nn.Linear(inner, dim, bias=False)

    def forward(self, features: Tensor, latents: Tensor) -> Tensor:
        latents = latents + self.attention(features, latents)
        return latents + self.mlp_down(F.gelu(self.mlp_up(self.mlp_norm(latents))))


class AttentionPool(nn.Module):
    """One vector for all tokens: their mean attends to itself and to them (the pooling of CLIP's ResNets)."""

    def __init__(self, tokens: int, dim: int, heads: int, output_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.positions = nn.Parameter(torch.randn(tokens + 1, dim) / dim**0.5)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, output_dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, Q, dim) -> (B, output_dim)."""
        tokens = torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1) + self.positions
        query = split_heads(self.query(tokens[:, :1]), self.heads)
        key, value = split_heads(self.key(tokens), self.heads), split_heads(self.value(tokens), self.heads)
        return self.out(join_heads(F.scaled_dot_product_attention(query, key, value))).squeeze(1)


class PerceiverResampler(nn.Module):
    def __init__(self, config: DetokenizerConfig, feature_dim: int) -> None:
        super().__init__()
        first, second = config.context_dims
        self.normalize = config.normalize
        self.latents = nn.Parameter(torch.randn(1, config.queries, config.dim) / config.dim**0.5)
        self.proj_in = nn.Linear(feature_dim, config.dim)
        self.layers = nn.ModuleList(PerceiverLayer(config) for _ in range(config.depth))
        self.norm_out = nn.LayerNorm(config.dim)
        self.proj_first = nn.Linear(config.dim, first)
        self.proj_second = nn.Linear(config.dim, second)
        self.pool = AttentionPool(config.queries, config.dim, config.heads, second)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, F) -> the U-Net's text features (B, Q, C1 + C2) and its pooled text feature (B, C2)."""
        if self.normalize:
            features = F.normalize(features, dim=1)
        features = self.proj_in(features)
        latents = self.latents.expand(len(features), -1, -1)
        for layer in self.layers:
            latents = layer(features, latents)
        latents = self.norm_out(latents)
        return torch.cat([self.proj_first(latents), self.proj_second(latents)], dim=-1), self.pool(latents)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, T, heads * d) -> (B, heads, T, d)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)
