"""SEED-X without its de-tokenizer: reads images and text, predicts text and the features of images.

An image that is read: pixels -> visual tokenizer -> (Q, D) -> input resampler -> K embeddings in the place of its K
placeholders, plus the position of its tile. An image that is drawn: the K placeholders keep their own embeddings, and
their final states -> output resampler -> features, regressed onto the pooled ones of the target.

Shapes: see `seedx.batch`; `dim` is the language model's width, Kp = Q / pool features an image when drawing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedx.batch import Batch
from seedx.config import Config
from seedx.errors import SeedxError
from seedx.model.language import Language
from seedx.model.losses import Losses, loss_counts, loss_weights, next_tokens, regression
from seedx.model.resampler import QueryResampler
from seedx.model.vision import VisionTransformer, pool_features


class SeedX(nn.Module):
    """The comprehension and generation side. The visual tokenizer is frozen."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.vision = VisionTransformer(config.vision).requires_grad_(False)
        self.language = Language(config.language)
        self.input_resampler, self.output_resampler, self.tile_positions = new_bridge(config)

    def encode_images(self, images: Tensor) -> Tensor:
        """Pixels (N, 3, S, S) -> features (N, Q, D); features (N, Q, D) pass through.

        Raises:
            SeedxError: neither.
        """
        if images.dim() == 4:
            return self.vision(images)
        if images.shape[1:] != (self.config.vision.queries, self.config.vision.output_dim):
            expected = f"(N, {self.config.vision.queries}, {self.config.vision.output_dim})"
            raise SeedxError(f"images are pixels (N, 3, S, S) or features {expected}, not {tuple(images.shape)}")
        return images

    def read(self, tiles: Tensor, positions: Tensor | None = None) -> Tensor:
        """Tiles (R, 3, S, S) or (R, Q, D), centres (R, 2) -> embeddings (R, K, dim) for their placeholders."""
        embeds = self.input_resampler(self.encode_images(tiles))
        if self.tile_positions is None or positions is None:
            return embeds
        return embeds + tile_embedding(positions, self.tile_positions).to(embeds.dtype)

    def embed(self, input_ids: Tensor, read_mask: Tensor, tiles: Tensor | None, positions: Tensor | None) -> Tensor:
        """(B, T) ids -> (B, T, dim), the placeholders under `read_mask` replaced by the embeddings of their tiles.

        Raises:
            SeedxError: the number of placeholders is not K for each tile.
        """
        embeds = self.language.embed(input_ids)
        if tiles is None:  # an empty batch of tiles is read all the same: every rank has the same modules in its graph
            tiles, positions = self._no_features(embeds), embeds.new_zeros(0, 2)
        expect_placeholders(read_mask, len(tiles), self.config.bridge.queries, "read")
        return embeds.masked_scatter(read_mask[..., None], self.read(tiles, positions).to(embeds.dtype))

    def draw_features(self, states: Tensor) -> Tensor:
        """Final states (M, K, dim) of the placeholders of M images -> features (M, Kp, D)."""
        return self.output_resampler(states)

    def states(self, batch: Batch) -> Tensor:
        """Final states (B, T, dim) of a batch's tokens."""
        embeds = self.embed(batch.input_ids, batch.read_mask, batch.tiles, batch.tile_positions)
        return self.language.states(embeds, batch.position_ids)

    def drawn(self, batch: Batch) -> Tensor:
        """Features (M, Kp, D) of the images that a batch draws, each predicted after the true tokens before it."""
        states = self.states(batch)[batch.draw_mask]
        return self.draw_features(states.unflatten(0, (-1, self.config.bridge.queries)))

    def forward(self, batch: Batch) -> Losses:
        states = self.states(batch)
        each = {
            "text": self.text_losses(states, batch.labels),
            "image": self.image_losses(states, batch.draw_mask, batch.targets),
        }
        return Losses(
            {name: values.sum() for name, values in each.items()},
            loss_counts(batch, self.config),
            loss_weights(self.config.bridge),
            {name: values.detach() for name, values in each.items()},
        )

    def text_losses(self, states: Tensor, labels: Tensor) -> Tensor:
        """Next-token cross-entropy of each supervised token; only supervised positions go through the head."""
        following, supervised = next_tokens(labels)
        logits = self.language.head(states[:, :-1][supervised]).float()
        return F.cross_entropy(logits, following[supervised], reduction="none")

    def image_losses(self, states: Tensor, draw_mask: Tensor, targets: Tensor | None) -> Tensor:
        """Error of the drawn features of each image against the pooled features of its target (M,)."""
        targets = self._no_features(states) if targets is None else targets
        queries = self.config.bridge.queries
        expect_placeholders(draw_mask, len(targets), queries, "draw")
        drawn = self.draw_features(states[draw_mask].unflatten(0, (len(targets), queries)))
        pooled = pool_features(self.encode_images(targets), self.config.vision.pool)
        return regression(drawn.float(), pooled.float(), self.config.bridge)

    def _no_features(self, like: Tensor) -> Tensor:
        return like.new_zeros(0, self.config.vision.queries, self.config.vision.output_dim)


def new_bridge(config: Config) -> tuple[QueryResampler, QueryResampler, nn.Parameter | None]:
    """What is between the visual tokenizer and the language model, newly initialised: the resamplers of input and
    output, and the tile positions (4, dim), small random vectors."""
    bridge, vision, dim = config.bridge, config.vision, config.language.hidden_size
    read = QueryResampler(bridge.queries, dim, bridge.input_heads, vision.output_dim)
    drawn = QueryResampler(vision.pooled, vision.output_dim, bridge.output_heads, dim)
    positions = nn.Parameter(torch.empty(4, dim)) if bridge.tile_positions else None
    if positions is not None:
        nn.init.normal_(positions, std=dim**-0.5)
    return read, drawn, positions


def tile_embedding(positions: Tensor, weight: Tensor) -> Tensor:
    """Centres (R, 2), (x, y) in 0..1, and four vectors (4, dim) -> (R, 1, dim), added to every token of a tile."""
    corners = torch.cat([positions, 1 - positions], dim=-1) / 2  # the release has the half, the paper does not
    return (corners.to(weight) @ weight)[:, None]


def expect_placeholders(mask: Tensor, images: int, queries: int, verb: str) -> None:
    """
    Raises:
        SeedxError: `mask` does not mark `queries` placeholders for each of `images` images.
    """
    marked = int(mask.sum())
    if marked != images * queries:
        raise SeedxError(
            f"{images} images to {verb} need {images * queries} placeholders ({queries} each), but {marked} are marked"
        )
