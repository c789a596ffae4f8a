"""The language model run by torch, on a cache whose rows are those that are open."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from seedx.engines.compiled import StaticPasses
from seedx.engines.runner import RunnerRow, RunnerState
from seedx.errors import SeedxError
from seedx.model.cache import Cache, CachedRow
from seedx.model.language import Language
from seedx.model.lora import LoraSwitch


class TorchRunner:
    """A `LanguageRunner`. Rows of one pass lie side by side in the cache: see `_gather`. They may have different
    adapters: `model/lora.py` adds each row's own.

    Args:
        static: passes of one token a row run by it, on its cache.
    """

    def __init__(self, language: Language, lora: LoraSwitch | None = None, static: StaticPasses | None = None) -> None:
        self.language, self.lora, self.static = language, lora, static
        self.adapters: tuple[str, ...] = lora.names if lora else ()
        self.cache = Cache(language.config.layers)
        self.rows: list[RunnerRow] = []  # by their index in the cache
        self._last: dict[RunnerRow, Tensor] = {}  # final states (D,) of the last pass

    @property
    def device(self) -> torch.device:
        return next(self.language.parameters()).device

    def embed(self, ids: Tensor) -> Tensor:
        return self.language.embed(ids.to(self.device))

    def open_row(self, state: RunnerState | None = None, adapter: str | None = None) -> RunnerRow:
        if adapter is not None and adapter not in self.adapters:
            raise SeedxError(f"there is no adapter {adapter!r} here; loaded are: {', '.join(self.adapters) or 'none'}")
        if self.static and not self.rows:
            self.cache = self.static.take()
        row = RunnerRow(index=len(self.rows), adapter=adapter)
        if state is not None and state.length and state.adapter != adapter:
            raise SeedxError("a conversation continues with the adapter that it was read with: read it again")
        if state is not None and state.length:
            if not isinstance(state.content, CachedRow):
                raise SeedxError("the state of a conversation continues in the engine that made it: start a new one")
            self.cache.put(row.index, state.content)
            row.length = state.length
        self.rows.append(row)
        return row

    def forward(self, rows: Sequence[RunnerRow], embeds: Sequence[Tensor], wanted: Sequence[int]) -> list[Tensor]:
        """Short rows are padded on the right: `model/cache.py` says why the padding is never seen."""
        first = self._gather(rows)
        order = sorted(range(len(rows)), key=lambda i: rows[i].index)
        lengths = [len(each) for each in embeds]
        padded = torch.nn.utils.rnn.pad_sequence([embeds[i] for i in order], batch_first=True)
        starts = [rows[i].length for i in order]
        positions = torch.tensor(starts, device=padded.device)[:, None] + torch.arange(
            padded.shape[1], device=padded.device
        )
        with self.lora.use([rows[i].adapter for i in order]) if self.lora else nullcontext():
            states = self._states(padded, positions, first, starts)
        found = {i: states[at, : lengths[i]] for at, i in enumerate(order)}
        self._last = {row: found[i][-1] for i, row in enumerate(rows)}
        for row, length in zip(rows, lengths, strict=True):
            row.length += length
        return [found[i][lengths[i] - count :] for i, count in enumerate(wanted)]

    def _states(self, embeds: Tensor, positions: Tensor, first: int, starts: list[int]) -> Tensor:
        if self.static is None or embeds.shape[1] > 1 or not self.cache.keys:
            return self.language.states(embeds, positions, self.cache, first, starts)
        return self.static.run(embeds, positions, self.cache, first, starts)

    def logits(self, rows: Sequence[RunnerRow]) -> Tensor:
        return self.language.head(torch.stack([self._last[row] for row in rows])).float()

    def close_row(self, row: RunnerRow, keep: bool = False) -> RunnerState | None:
        """The last row takes the place of the one that leaves. The only row hands its memory over without a copy,
        unless most of that memory is room for others."""
        content = self.cache.row(row.index) if keep and row.length else None
        last = self.rows.pop()
        if content is not None and (self.rows or self.static or self.cache.slots > 2 * row.length):
            content = content.copy(row.length)
        if not self.rows:
            if self.static:
                self.static.give_back(self.cache)
            self.cache = Cache(self.language.config.layers)
        elif last is not row:
            self.cache.move(last.index, row.index, last.length)
            last.index, self.rows[row.index] = row.index, last
        return RunnerState(row.length, content, row.adapter) if keep else None

    def _gather(self, rows: Sequence[RunnerRow]) -> int:
        """Let the rows of a pass lie side by side: the index of the first. Most often they do already."""
        wanted = {row.index for row in rows}
        first = min(wanted)
        if max(wanted) - first + 1 == len(wanted):
            return first
        first = len(self.rows) - len(wanted)  # the last places
        free = [index for index in range(first, len(self.rows)) if index not in wanted]
        for index in sorted(wanted):
            if index < first:
                self._swap(self.rows[index], self.rows[free.pop()])
        return first

    def _swap(self, one: RunnerRow, other: RunnerRow) -> None:
        if one is other:
            return
        self.cache.swap(one.index, other.index)
        one.index, other.index = other.index, one.index
        self.rows[one.index], self.rows[other.index] = one, other
