"""The language model run by llama.cpp: a `LanguageRunner` whose rows are the sequences of one context.

Where states are asked for, llama.cpp also computes the logits of every token of the batch. So a pass has up to two
parts, one of tokens that are only read, and one of those that something is asked of:

    row 0 reads a prompt of 300 tokens       |  300, the logits of the last   |
    row 0 reads 300 and draws 64 of them     |  236                           |  64 states, logits
    row 1 reads one token beside it          |                                |   1

Rows of different adapters are passes of their own.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from seedx.engines.llama_context import GROWTH, SEQUENCES, Context, LlamaModel
from seedx.engines.runner import RunnerRow, RunnerState
from seedx.errors import ContextFullError, SeedxError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class _Saved:
    """A row that has left. It may be continued any number of times."""

    model: LlamaModel
    length: int
    data: npt.NDArray[np.uint8]


class LlamaRunner:
    """
    Args:
        device, dtype: of the final states, as the modules that take them.
    """

    def __init__(
        self, model: LlamaModel, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        self.model, self.device, self.dtype = model, torch.device(device), dtype
        self.adapters = tuple(model.adapters)
        self.rows: list[RunnerRow] = []
        self._held: dict[RunnerRow, int] = {}  # tokens in the context, which may be more than the row's after a rewind
        self._logits: dict[RunnerRow, Tensor] = {}
        self._context: Context | None = None

    def embed(self, ids: Tensor) -> Tensor:
        return torch.from_numpy(self.model.file.embeddings(ids.cpu().numpy())).to(self.device)

    def open_row(self, state: RunnerState | None = None, adapter: str | None = None) -> RunnerRow:
        if adapter is not None and adapter not in self.adapters:
            raise SeedxError(f"there is no adapter {adapter!r} here; loaded are: {', '.join(self.adapters) or 'none'}")
        if len(self.rows) == SEQUENCES:
            raise SeedxError(f"llama.cpp answers at most {SEQUENCES} requests at a time: give fewer")
        taken = {row.index for row in self.rows}
        row = RunnerRow(index=next(number for number in range(SEQUENCES) if number not in taken), adapter=adapter)
        held = 0
        if state is not None and state.length:
            if state.adapter != adapter:
                raise SeedxError("a conversation continues with the adapter that it was read with: read it again")
            saved = state.content
            if not isinstance(saved, _Saved) or saved.model is not self.model:
                raise SeedxError("the state of a conversation continues in the engine that made it: start a new one")
            self._with_room(saved.length).restore(row.index, saved.data)
            held, row.length = saved.length, state.length
        self.rows.append(row)
        self._held[row] = held
        return row

    def forward(self, rows: Sequence[RunnerRow], embeds: Sequence[Tensor], wanted: Sequence[int]) -> list[Tensor]:
        lengths = [len(each) for each in embeds]
        for row, length in zip(rows, lengths, strict=True):
            if row.length + length > self.model.config.context:
                raise ContextFullError(
                    f"{row.length + length} tokens are more than the context of {self.model.config.context} holds"
                )
        context = self._with_room(sum(lengths))
        for row in rows:
            if self._held[row] > row.length:
                context.rewind(row.index, row.length)
                self._held[row] = row.length
        found: dict[RunnerRow, Tensor] = {}
        for adapter in dict.fromkeys(row.adapter for row in rows):  # llama.cpp has one at a time
            context.use(adapter)
            at = [i for i, row in enumerate(rows) if row.adapter == adapter]
            states = self._pass(context, [rows[i] for i in at], [embeds[i] for i in at], [wanted[i] for i in at])
            found |= {rows[i]: each for i, each in zip(at, states, strict=True)}
        return [found[row] for row in rows]

    def _pass(
        self, context: Context, rows: Sequence[RunnerRow], embeds: Sequence[Tensor], wanted: Sequence[int]
    ) -> list[Tensor]:
        """As `forward`, for rows of one adapter."""
        if not any(wanted):
            return self._read(context, rows, embeds, False)
        lengths = [len(each) for each in embeds]
        asked = [max(1, count) for count in wanted]
        before = [length - count for length, count in zip(lengths, asked, strict=True)]
        if first := [i for i, count in enumerate(before) if count]:
            self._read(context, [rows[i] for i in first], [embeds[i][: before[i]] for i in first], False)
        rest = [each[count:] for each, count in zip(embeds, before, strict=True)]
        states = self._read(context, rows, rest, True)
        return [each[len(each) - count :] for each, count in zip(states, wanted, strict=True)]

    def logits(self, rows: Sequence[RunnerRow]) -> Tensor:
        return torch.stack([self._logits[row] for row in rows]).to(self.device)

    def close_row(self, row: RunnerRow, keep: bool = False) -> RunnerState | None:
        """A row that is kept is copied. The context of the last one goes back to the model."""
        state = RunnerState(row.length, None, row.adapter) if keep else None
        self.rows.remove(row)
        self._logits.pop(row, None)
        if self._held.pop(row) and self._context is not None:
            if keep and row.length:
                self._context.rewind(row.index, row.length)
                saved = _Saved(self.model, row.length, self._context.saved(row.index))
                state = RunnerState(row.length, saved, row.adapter)
            self._context.rewind(row.index, 0)
        if not self.rows and self._context is not None:
            self.model.give_back(self._context)
            self._context = None
        return state

    def _read(
        self, context: Context, rows: Sequence[RunnerRow], embeds: Sequence[Tensor], states: bool
    ) -> list[Tensor]:
        """Read (T, D) more in each of the rows; the logits of the last of them. With `states`: (T, D) of each."""
        lengths = [len(each) for each in embeds]
        sequences = [row.index for row, n in zip(rows, lengths, strict=True) for _ in range(n)]
        positions = [row.length + i for row, n in zip(rows, lengths, strict=True) for i in range(n)]
        wanted = [states or i == n - 1 for n in lengths for i in range(n)]
        flat = torch.cat(list(embeds)).to("cpu", torch.float32).numpy()
        found, logits = context.read(sequences, positions, flat, wanted, states)
        last = itertools.accumulate(lengths if states else [1] * len(rows))
        for row, length, end in zip(rows, lengths, last, strict=True):
            row.length += length
            self._held[row] = row.length
            self._logits[row] = torch.from_numpy(logits[end - 1])
        if not states:
            return [torch.empty(0, self.model.config.hidden_size, dtype=self.dtype, device=self.device)] * len(rows)
        return list(torch.from_numpy(found).to(self.device, self.dtype).split(lengths))

    def _with_room(self, tokens: int) -> Context:
        """The context with room for so many more tokens."""
        cells = sum(self._held.values()) + tokens
        if self._context is None:
            self._context = self.model.context(cells + GROWTH)
        elif cells > self._context.cells:
            old, self._context = self._context, None
            self._context = old.grown([row.index for row, held in self._held.items() if held], cells + GROWTH)
        return self._context
