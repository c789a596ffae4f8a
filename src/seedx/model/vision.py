"""The visual tokenizer: a pre-norm ViT whose patches are read by an attention pool of learned queries.

Source: Qwen-VL's ViT-bigG as SEED-X uses it, frozen. Its surprises: the learned positions are always a 16x16 grid,
resized bicubically to the patch grid; one projection gives queries, keys and values laid out head by head; and the
features for drawing (`pool_features`) average neighbours in raster order, not in squares.

Shapes:
    N images, S side in pixels, P = (S / patch)² patches, W width, Q queries, D output width
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedx.config import VisionConfig
from seedx.errors import SeedxError
from seedx.model.attention import attend
from seedx.model.resampler import QueryResampler, resize_positions
from seedx.tiling import normalise

POSITION_GRID = 16
EPS = 1e-6


class VisionTransformer(nn.Module):
    """(N, 3, S, S) pixels, normalised or uint8 (normalised here, on the device) -> (N, Q, D) features."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        width, dim = config.width, config.output_dim
        self.patch_embed = nn.Conv2d(3, width, config.patch_size, stride=config.patch_size, bias=False)
        self.positions = nn.Parameter(torch.empty(POSITION_GRID**2, width))
        self.ln_pre = nn.LayerNorm(width, eps=EPS)
        self.blocks = nn.ModuleList(Block(width, config.heads, config.mlp_width) for _ in range(config.layers))
        self.pool = QueryResampler(config.queries, dim, config.attention_pool_heads, input_dim=width, eps=EPS)
        self.ln_post = nn.LayerNorm(dim, eps=EPS)
        self.proj = nn.Parameter(torch.empty(dim, dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.trunc_normal_(self.patch_embed.weight, std=(3 * self.config.patch_size**2) ** -0.5)
        nn.init.trunc_normal_(self.positions, std=0.02)
        nn.init.normal_(self.proj, std=self.config.output_dim**-0.5)

    def embed(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, P, W): the patches with their positions, before the first block."""
        if pixels.dim() != 4 or pixels.shape[1] != 3 or pixels.shape[2:] != (self.config.image_size,) * 2:
            size = self.config.image_size
            raise SeedxError(f"the visual tokenizer reads pixels (N, 3, {size}, {size}), not {tuple(pixels.shape)}")
        pixels = pixels.to(self.positions.device)
        pixels = (normalise(pixels) if pixels.dtype == torch.uint8 else pixels).to(self.positions.dtype)
        x = self.patch_embed(pixels).flatten(2).transpose(1, 2)
        return self.ln_pre(x + resize_positions(self.positions, x.shape[1]))

    def patches(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, P, W): the states of the patches, in raster order, after the last block."""
        x = self.embed(pixels)
        for block in self.blocks:
            x = block(x)
        return x

    def read(self, patches: Tensor) -> Tensor:
        """(N, P, W) -> (N, Q, D): the pool of queries over the patches' states."""
        return self.ln_post(self.pool(patches)) @ self.proj

    def forward(self, pixels: Tensor) -> Tensor:
        return self.read(self.patches(pixels))


class Block(nn.Module):
    """Pre-norm attention and MLP, (N, P, W) -> (N, P, W)."""

    def __init__(self, width: int, heads: int, mlp_width: int) -> None:
        super().__init__()
        if width % heads:
            raise SeedxError(f"the visual tokenizer's width must be a multiple of its {heads} heads, not {width}")
        self.heads = heads
        self.ln_1 = nn.LayerNorm(width, eps=EPS)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.ln_2 = nn.LayerNorm(width, eps=EPS)
        self.up = nn.Linear(width, mlp_width)
        self.down = nn.Linear(mlp_width, width)
        for linear in (self.qkv, self.out, self.up, self.down):
            nn.init.trunc_normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.out(self.attention(self.ln_1(x)))
        return x + self.down(F.gelu(self.up(self.ln_2(x))))

    def attention(self, x: Tensor) -> Tensor:
        # Rows of `qkv` are grouped by head, [q k v] of head 0, then of head 1: the release's layout, kept as it is.
        qkv = self.qkv(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (N, heads, P, 3 * head width)
        q, k, v = qkv.chunk(3, dim=-1)
        return attend(q, k, v).transpose(1, 2).flatten(2)


def pool_features(features: Tensor, pool: int) -> Tensor:
    """(N, Q, D) -> (N, Q / pool, D): the mean of every `pool` consecutive tokens, the features that drawing uses."""
    if features.shape[1] % pool:
        raise SeedxError(f"{features.shape[1]} features can't be averaged by {pool}")
    return features.unflatten(1, (-1, pool)).mean(dim=2)


@torch.no_grad()
def negative_features(vision: VisionTransformer, pooled: bool = True) -> Tensor:
    """(1, Q / pool, D), or (1, Q, D) if not `pooled`: features of an all-zero input after normalisation.

    They take the place of an image's features in the negative branch of classifier-free guidance, and in the training
    rows whose features are dropped. Source: the release's de-tokenizer.
    """
    side, weight = vision.config.image_size, vision.positions
    features: Tensor = vision(torch.zeros(1, 3, side, side, device=weight.device, dtype=weight.dtype))
    return pool_features(features, vision.config.pool) if pooled else features
