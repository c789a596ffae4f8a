"""LoRA beside a model's weights: low-rank changes of its layers, added from outside, each row by its own adapter.

    layer(x)  ->  layer(x) + scale * B A x

The model's modules, names and weights stay as they are: a `LoraSwitch` hooks into the layers that adapters change, and
`use` says which adapter the rows of the passes inside it have. Rows without one get their layer's own output, and where
no row has one nothing is added at all. For rows that differ, the halves of all adapters lie stacked in one tensor, 0
being nothing, and each row takes its own: two batched products, whatever the number of adapters.

Worked example: rows ["winter", None, "winter", "night"] of the adapters ("night", "winter") take entries [2, 0, 2, 1].

Shapes:
    r rank, N adapters, B rows, T tokens; a convolution's A has its kernel (r, in, kh, kw), its B is (out, r, 1, 1)
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedx.errors import SeedxError


@dataclass(frozen=True)
class Update:
    """LoRA's change of one weight (out, in, ...): scale * b @ a, with a (r, in, ...) and b (out, r, ...)."""

    a: Tensor
    b: Tensor
    scale: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weight that it changes."""
        return (len(self.b), *self.a.shape[1:])

    def merged(self, base: Tensor) -> Tensor:
        """The weight with its change, summed in float32, in the weight's precision."""
        change = self.b.flatten(1).float() @ self.a.flatten(1).float()
        return (base.float() + self.scale * change.view(base.shape)).to(base.dtype)

    def check(self, name: str, shape: tuple[int, ...], who: str = "LoRA's") -> None:
        """
        Raises:
            SeedxError: it does not fit a weight of this shape, or its halves do not fit each other.
        """
        if self.shape != shape or self.b.shape[1] != len(self.a):
            raise SeedxError(f"{who} change of {name!r} is {self.shape}, the weight {shape}")


Updates = Mapping[str, Update]  # by the name of the weight that each changes


class LoraSwitch:
    """The adapters of one module.

    Attributes:
        names: of the adapters, in the order of the stacks.

    Raises:
        SeedxError: an adapter changes a layer that the module does not have, or one of another shape.
    """

    def __init__(self, module: nn.Module, adapters: Mapping[str, Updates]) -> None:
        self.names = tuple(adapters)
        self._now = threading.local()  # what `use` set: replies are generated in several threads
        self._hooks, self._device = [], torch.device("cpu")
        layers = dict(module.named_modules())
        for weight in dict.fromkeys(name for updates in adapters.values() for name in updates):
            layer = layers.get(weight.removesuffix(".weight"))
            _check(layer, weight, adapters)
            assert layer is not None
            halves = _Halves(layer, [updates.get(weight) for updates in adapters.values()])
            self._hooks.append(layer.register_forward_hook(self._hook(halves)))
            self._device = halves.a.device

    @contextmanager
    def use(self, adapters: Sequence[str | None]) -> Iterator[None]:
        """Passes inside have rows of these adapters, None being none: one a row, or one for all rows."""
        before = getattr(self._now, "rows", None)
        rows = [0 if name is None else 1 + self.names.index(name) for name in adapters]
        one = len(set(rows)) == 1
        self._now.rows = (rows[0] if one else torch.tensor(rows, device=self._device)) if any(rows) else None
        try:
            yield
        finally:
            self._now.rows = before

    def remove(self) -> None:
        """Leave the module as it was."""
        for hook in self._hooks:
            hook.remove()

    def _hook(self, halves: _Halves) -> Any:
        def add(layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
            rows: int | Tensor | None = getattr(self._now, "rows", None)
            return output if rows is None else halves.add(inputs[0], output, rows)

        return add


class _Halves:
    """One layer's halves of all adapters, as (N + 1, r, in, ...) and (N + 1, out, r): entry 0 is nothing.

    Smaller ranks are filled up with zeros. `scale` is part of B.
    """

    def __init__(self, layer: nn.Module, updates: Sequence[Update | None]) -> None:
        given = [update for update in updates if update is not None]
        rank, like = max(len(update.a) for update in given), given[0]
        place = next((p for p in layer.parameters() if p.is_floating_point()), like.a)
        self.a = place.new_zeros(len(updates) + 1, rank, *like.a.shape[1:])
        self.b = place.new_zeros(len(updates) + 1, len(like.b), rank)
        self.used = [False, *(update is not None for update in updates)]
        for at, update in enumerate(updates, start=1):
            if update is not None:
                self.a[at, : len(update.a)] = update.a.to(self.a)
                self.b[at, :, : len(update.a)] = update.scale * update.b.flatten(1).to(self.b)
        self.layer = layer

    def add(self, x: Tensor, output: Tensor, rows: int | Tensor) -> Tensor:
        if isinstance(rows, int):
            if not self.used[rows]:
                return output
            a, b = self.a[rows].to(x), self.b[rows].to(x)
            if isinstance(self.layer, nn.Conv2d):
                inner = self.layer._conv_forward(x, a, None)  # with its stride and padding
                return output + F.conv2d(inner, b[:, :, None, None])
            return output + F.linear(F.linear(x, a), b)
        a, b = self.a[rows.to(self.a.device)].to(x), self.b[rows.to(self.b.device)].to(x)
        return output + x @ a.mT @ b.mT


def _check(layer: Any, weight: str, adapters: Mapping[str, Updates]) -> None:
    """
    Raises:
        SeedxError: there is no such layer, or an adapter that changes it does not fit.
    """
    for name, updates in adapters.items():
        if weight not in updates:
            continue
        if isinstance(layer, nn.Conv2d):
            shape = (layer.out_channels, layer.in_channels // layer.groups, *layer.kernel_size)
        elif hasattr(layer, "in_features"):  # also of quantised layers, whose weight has a shape of its own
            shape = (layer.out_features, layer.in_features)
        else:
            raise SeedxError(
                f"the adapter {name!r} changes {weight!r}, which this model does not have: it is another model's"
            )
        updates[weight].check(weight, shape, f"the adapter {name!r} is another model's: its")
