"""Keys and values of what a language model has read, for rows of any lengths.

The one idea: the slot of a token is its position. Rows of a batch then need no padding slots and no mask of their own:
a query at position p sees the slots 0..p of its row. Padding on the right of a short row lands in slots after its last
token, which real tokens overwrite before any query can see them. For the same reason a row is rewound by its length
alone, and a row that leaves needs no clearing.

Shapes:
    B rows of a pass, T tokens of a pass, R rows held, C slots, H heads of keys, E width of a head
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

GROWTH = 256  # slots; reallocating is rare, and reading only the filled slots makes spare ones free


@dataclass(frozen=True)
class CachedRow:
    """Keys and values of one row, of each layer (H, C, E)."""

    keys: list[Tensor]
    values: list[Tensor]

    def copy(self, slots: int) -> CachedRow:
        """The first slots in memory of their own."""
        return CachedRow([keys[:, :slots].clone() for keys in self.keys], [v[:, :slots].clone() for v in self.values])


class Cache:
    """Filled by `Language.states`; a plain object that its decoder layers call `update` on."""

    def __init__(self, layers: int) -> None:
        self.layers = layers
        self.keys: list[Tensor] = []  # of each layer (R, H, C, E)
        self.values: list[Tensor] = []
        self.end = 0  # slots that the current pass reads
        self._rows = slice(0)
        self._where: tuple[slice | Tensor, slice, slice | Tensor] = (slice(0), slice(0), slice(0))

    @property
    def slots(self) -> int:
        """Of all rows together, those that nothing was read into included."""
        return self.keys[0].shape[0] * self.keys[0].shape[2] if self.keys else 0

    def place(self, position_ids: Tensor, first_row: int = 0, starts: Sequence[int] | None = None) -> Tensor | None:
        """Announce the positions (B, T) of the next pass, consecutive in each row, for B rows from `first_row` on.

        Args:
            starts: the first position of each row, so that the device need not be asked, and waited for.

        Returns the mask (B, 1, T, end), true where a query sees a slot; or None where rows are equally long, so that
        causal attention to all slots is right: that of the last T of `end` tokens.
        """
        starts, count = position_ids[:, 0].tolist() if starts is None else starts, position_ids.shape[1]
        self.end = max(starts) + count
        self._rows = slice(first_row, first_row + len(starts))
        even = min(starts) == max(starts)
        if even:
            self._where = (self._rows, slice(None), slice(starts[0], self.end))
        else:
            rows = torch.arange(first_row, first_row + len(starts), device=position_ids.device)[:, None]
            self._where = (rows, slice(None), position_ids)
        if even:
            return None
        slots = torch.arange(self.end, device=position_ids.device)
        return slots <= position_ids[:, None, :, None]

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Store (B, H, T, E) of one layer and return all that its rows hold (B, H, end, E)."""
        if layer == len(self.keys):
            self.keys.append(keys.new_empty(0, keys.shape[1], 0, keys.shape[3]))
            self.values.append(values.new_empty(0, values.shape[1], 0, values.shape[3]))
        return self._write(self.keys, keys, layer), self._write(self.values, values, layer)

    def _write(self, store: list[Tensor], new: Tensor, layer: int) -> Tensor:
        held = store[layer] = _reserved(store[layer], self._rows.stop, self.end)
        scattered = isinstance(self._where[0], Tensor)  # indexing by two tensors puts their dimensions first
        held[self._where] = new.transpose(1, 2) if scattered else new
        return held[self._rows, :, : self.end]

    def row(self, index: int) -> CachedRow:
        """One row, as a view of the memory of this cache."""
        return CachedRow([keys[index] for keys in self.keys], [values[index] for values in self.values])

    def put(self, index: int, row: CachedRow) -> None:
        """Continue a row at `index`. The first row of an empty cache is adopted without a copy."""
        if not self.keys and index == 0:
            self.keys, self.values = [keys[None] for keys in row.keys], [values[None] for values in row.values]
            return
        for store, tensors in ((self.keys, row.keys), (self.values, row.values)):
            for layer, tensor in enumerate(tensors):
                if layer == len(store):
                    store.append(tensor.new_empty(0, len(tensor), 0, tensor.shape[2]))
                held = store[layer] = _reserved(store[layer], index + 1, tensor.shape[1])
                held[index, :, : tensor.shape[1]] = tensor

    def swap(self, one: int, other: int) -> None:
        """Exchange two rows."""
        for store in (self.keys, self.values):
            for layer, tensor in enumerate(store):
                held = store[layer] = _reserved(tensor, max(one, other) + 1, tensor.shape[2])
                held[[one, other]] = held[[other, one]]

    def move(self, source: int, target: int, slots: int) -> None:
        """A row of so many slots takes the place of one whose content is of no more use."""
        for tensor in (*self.keys, *self.values):
            if source < len(tensor):
                tensor[target, :, :slots] = tensor[source, :, :slots]


class StaticCache(Cache):
    """A cache whose passes of one token a row keep their shapes, as compiled code and CUDA graphs need it.

    Such a pass reads the first 256, 512, 1024 ... slots of its rows under a mask, and writes where a tensor says: no
    number in it follows from how long a row is. Passes of prompts and spans are those of `Cache`. Rows leave as copies,
    and the memory stays for the next ones (`engines/compiled.py`), so that its addresses stay, too.
    """

    def place(self, position_ids: Tensor, first_row: int = 0, starts: Sequence[int] | None = None) -> Tensor | None:
        mask = super().place(position_ids, first_row, starts)
        if position_ids.shape[1] > 1:
            return mask
        self.end = max(GROWTH, 1 << (self.end - 1).bit_length())
        rows = torch.arange(self._rows.start, self._rows.stop, device=position_ids.device)[:, None]
        self._where = (rows, slice(None), position_ids)
        for store in (self.keys, self.values):  # here, so that compiled code allocates nothing
            store[:] = [_reserved(held, self._rows.stop, self.end) for held in store]
        return torch.arange(self.end, device=position_ids.device) <= position_ids[:, None, :, None]

    def put(self, index: int, row: CachedRow) -> None:
        """Continue a row at `index`, as a copy."""
        for store, tensors in ((self.keys, row.keys), (self.values, row.values)):
            if not store:
                store += [tensor.new_empty(0, len(tensor), 0, tensor.shape[2]) for tensor in tensors]
        super().put(index, row)


def _reserved(held: Tensor, rows: int, slots: int) -> Tensor:
    """`held` with room for so many rows and slots: filled with zeros, since a masked NaN would still spread."""
    if held.shape[0] >= rows and held.shape[2] >= slots:
        return held
    size = max(held.shape[2], slots + GROWTH if held.shape[2] < slots else 0)
    grown = held.new_zeros(max(rows, held.shape[0]), held.shape[1], size, held.shape[3])
    grown[: held.shape[0], :, : held.shape[2]] = held
    return grown
