"""`Batch`, the one contract between data and model, and `Encoded`, one row of it: a conversation, or several packed.

Shapes:
    B rows, T tokens a row, S side of a tile in pixels, Q and D tokens and width of the visual tokenizer
    R tiles read, M images drawn, K placeholders an image (`BridgeConfig.queries`); r and m those of one row

Packing puts several documents into one row. Documents a, b, c of lengths 4, 5, 2 in rows of 7:

    row 0    a a a a c c .        position_ids    0 1 2 3 0 1 2
    row 1    b b b b b . .                        0 1 2 3 4 5 6

`position_ids` restart at 0 in every document, and attention never crosses that border. No loss crosses it either: the
first token of a document is BOS, which is never a label. Padding (.) comes last, with the label -100 and increasing
positions, so that a row of one document stays one document.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

IGNORE = -100  # a label without a loss


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
        sources: (B, T) int64, the number of the source of each token's document, for losses by source; of no meaning in
            padding. None: they are not wanted.
    """

    input_ids: Tensor
    labels: Tensor
    position_ids: Tensor
    read_mask: Tensor
    draw_mask: Tensor
    tiles: Tensor | None = None
    tile_positions: Tensor | None = None
    targets: Tensor | None = None
    sources: Tensor | None = None

    def to(self, *args: object, **kwargs: object) -> Batch:
        """As `Tensor.to`, for every tensor. A dtype would reach the ids too: give a device."""
        moved = {
            f.name: value.to(*args, **kwargs)
            for f in dataclasses.fields(self)
            if (value := getattr(self, f.name)) is not None
        }
        return Batch(**moved)


@dataclass(frozen=True)
class Encoded:
    """One conversation, or several in one row. T tokens, r tiles read, m images drawn; the other letters as in `Batch`.

    Attributes:
        input_ids, labels, position_ids: (T,) int64.
        read_mask, draw_mask: (T,) bool.
        reads, draws: indices into `messages.images(messages)` of the images read (once for each time) and drawn, in
            order.
        tiles, tile_positions: (r, 3, S, S) or (r, Q, D), and (r, 2); None until they are loaded, or if nothing is read.
        targets: (m, 3, S, S) or (m, Q, D); None until they are loaded, or if nothing is drawn.
        truncated: it was too long, and ends early.
    """

    input_ids: Tensor
    labels: Tensor
    position_ids: Tensor
    read_mask: Tensor
    draw_mask: Tensor
    reads: tuple[int, ...] = ()
    draws: tuple[int, ...] = ()
    tiles: Tensor | None = None
    tile_positions: Tensor | None = None
    targets: Tensor | None = None
    truncated: bool = False

    def __len__(self) -> int:
        return len(self.input_ids)


def collate(rows: Sequence[Encoded], pad: int, length: int | None = None) -> Batch:
    """Rows of any length -> a batch as long as the longest of them, or as `length`.

    Args:
        pad: the id of padding, `tokenizer.specials.pad`.

    Raises:
        ValueError: no rows, a row longer than `length`, images that were not loaded, or pixels and features mixed.
    """
    longest = max((len(row) for row in rows), default=0)
    length = length or longest
    if not 0 < longest <= length:
        raise ValueError(f"a batch of length {length} needs rows of 1 to {length} tokens, the longest has {longest}")
    for row in rows:
        if (row.tiles is not None, row.targets is not None) != (bool(row.read_mask.any()), bool(row.draw_mask.any())):
            raise ValueError("a row's tiles and targets must be loaded if it has placeholders for them: use prepare")
    return Batch(
        input_ids=torch.stack([_pad(row.input_ids, length, pad) for row in rows]),
        labels=torch.stack([_pad(row.labels, length, IGNORE) for row in rows]),
        position_ids=torch.stack([_pad_positions(row.position_ids, length) for row in rows]),
        read_mask=torch.stack([_pad(row.read_mask, length, 0) for row in rows]),
        draw_mask=torch.stack([_pad(row.draw_mask, length, 0) for row in rows]),
        tiles=_join(row.tiles for row in rows),
        tile_positions=_join(row.tile_positions for row in rows),
        targets=_join(row.targets for row in rows),
    )


def concatenate(documents: Sequence[Encoded]) -> Encoded:
    """One row that holds the documents one after the other. Its `reads` and `draws` are each document's own numbers."""
    return Encoded(
        input_ids=torch.cat([d.input_ids for d in documents]),
        labels=torch.cat([d.labels for d in documents]),
        position_ids=torch.cat([d.position_ids for d in documents]),
        read_mask=torch.cat([d.read_mask for d in documents]),
        draw_mask=torch.cat([d.draw_mask for d in documents]),
        reads=tuple(i for d in documents for i in d.reads),
        draws=tuple(i for d in documents for i in d.draws),
        tiles=_join(d.tiles for d in documents),
        tile_positions=_join(d.tile_positions for d in documents),
        targets=_join(d.targets for d in documents),
        truncated=any(d.truncated for d in documents),
    )


def _pad(values: Tensor, length: int, fill: int) -> Tensor:
    return torch.nn.functional.pad(values, (0, length - len(values)), value=fill)


def _pad_positions(positions: Tensor, length: int) -> Tensor:
    return torch.cat([positions, positions[-1] + 1 + torch.arange(length - len(positions))])


def _join(tensors: Iterable[Tensor | None]) -> Tensor | None:
    given = [tensor for tensor in tensors if tensor is not None]
    kinds = sorted({(tuple(tensor.shape[1:]), str(tensor.dtype)) for tensor in given})
    if len(kinds) > 1:  # torch would join uint8 pixels and normalised ones
        raise ValueError(f"a batch's images are all pixels of one size, or all features of one shape, not {kinds}")
    return torch.cat(given) if given else None
