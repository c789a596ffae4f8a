"""`Batch`: the one contract between data and model.

Shapes:
    B rows, T tokens a row, S side of a tile in pixels, Q and D tokens and width of the visual tokenizer
    R tiles read, M images drawn, K placeholders an image (`BridgeConfig.queries`)

A row may hold several documents one after the other (packing): `position_ids` then starts again at 0 in each of them,
and attention never crosses that border.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from torch import Tensor


@dataclass
class Batch:
    """
    Attributes:
        input_ids: (B, T) int64.
        labels: (B, T) int64, the id itself where it is supervised, -100 elsewhere (the shift happens in the loss).
        position_ids: (B, T) int64.
        read_mask: (B, T) bool, placeholders filled with `tiles`, in order: R * K ones.
        draw_mask: (B, T) bool, placeholders whose states are regressed onto `targets`, in order: M * K ones.
        tiles: (R, 3, S, S) pixels, normalised or uint8, or (R, Q, D) features of the visual tokenizer.
        tile_positions: (R, 2) centre (x, y) of each tile in 0..1.
        targets: (M, 3, S, S) or (M, Q, D), as `tiles`.
    """

    input_ids: Tensor
    labels: Tensor
    position_ids: Tensor
    read_mask: Tensor
    draw_mask: Tensor
    tiles: Tensor | None = None
    tile_positions: Tensor | None = None
    targets: Tensor | None = None

    def to(self, *args: object, **kwargs: object) -> Batch:
        """As `Tensor.to`, for every tensor. A dtype would reach the ids too: give a device."""
        moved = {
            f.name: value.to(*args, **kwargs)  # type: ignore[arg-type]
            for f in dataclasses.fields(self)
            if (value := getattr(self, f.name)) is not None
        }
        return Batch(**moved)
