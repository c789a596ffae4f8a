"""Keys and values of what a language model has read, for rows of any lengths.

The one idea: the slot of a token is its position. Rows of a batch then need no padding slots and no mask of their own:
a query at position p sees the slots 0..p of its row. Padding on the right of a short row lands in slots after its last
token, which real tokens overwrite before any query can see them.

Shapes:
    B rows, T tokens a pass, C slots, H heads of keys, E width of a head
"""

from __future__ import annotations

import torch
from torch import Tensor

GROWTH = 256  # slots; reallocating is rare, and reading only the filled slots makes spare ones free


class Cache:
    """Filled by `Language.states`; a plain object that its decoder layers call `update` on."""

    def __init__(self, layers: int) -> None:
        self.layers = layers
        self.keys: list[Tensor] = []  # of each layer (B, H, C, E)
        self.values: list[Tensor] = []
        self.end = 0  # slots that the current pass reads
        self._where: tuple[slice | Tensor, slice, slice | Tensor] = (slice(0), slice(0), slice(0))

    def place(self, position_ids: Tensor) -> Tensor | None:
        """Announce the positions (B, T) of the next pass, consecutive in each row.

        Returns the mask (B, 1, T, end), true where a query sees a slot, or None where plain causal attention is right.
        """
        starts, count = position_ids[:, 0].tolist(), position_ids.shape[1]
        self.end = max(starts) + count
        even = min(starts) == max(starts)
        if even:
            self._where = (slice(None), slice(None), slice(starts[0], self.end))
        else:
            rows = torch.arange(len(starts), device=position_ids.device)[:, None]
            self._where = (rows, slice(None), position_ids)
        if even and (count == 1 or starts[0] == 0):
            return None
        slots = torch.arange(self.end, device=position_ids.device)
        return slots <= position_ids[:, None, :, None]

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Store (B, H, T, E) of one layer and return all that is there, (B, H, end, E). The name is transformers'."""
        if layer == len(self.keys):
            self.keys.append(keys.new_empty(0))
            self.values.append(values.new_empty(0))
        return self._write(self.keys, keys, layer), self._write(self.values, values, layer)

    def _write(self, store: list[Tensor], new: Tensor, layer: int) -> Tensor:
        held = store[layer]
        if held.dim() == 1 and new.shape[2] == self.end:  # the first pass: kept as it is, and copied if more follows
            store[layer] = new
            return new
        if held.dim() == 1 or held.shape[2] < self.end:
            rows, heads, _, width = new.shape
            grown = new.new_zeros(rows, heads, self.end + GROWTH, width)  # zeros: a masked NaN would still spread
            if held.dim() > 1:
                grown[:, :, : held.shape[2]] = held
            store[layer] = held = grown
        scattered = isinstance(self._where[0], Tensor)  # indexing by two tensors puts their dimensions first
        held[self._where] = new.transpose(1, 2) if scattered else new
        return held[:, :, : self.end]

    def keep(self, rows: list[int]) -> None:
        """Keep only these rows, in this order."""
        self.keys = [keys[rows] for keys in self.keys]
        self.values = [values[rows] for values in self.values]
