"""The border to whoever runs the language model: embeddings in; states, logits and a row's state out.

A row is one conversation in progress. Rows join and leave at any time, and a pass runs any of them together:

    row = runner.open_row()
    states = runner.forward([row], [runner.embed(ids)])[0]     # (T, D); row.length is now T
    logits = runner.logits(states[-1:])                        # (1, V)
    state = runner.close_row(row, keep=True)                   # `open_row(state)` continues, here or in another runner

Shapes:
    T tokens of a row in a pass, D width of the language model, V vocabulary
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor


@dataclass(eq=False)
class RunnerRow:
    """
    Attributes:
        length: tokens read. A row is rewound by setting a smaller length.
        index: the runner's own.
        adapter: its name; None: the model itself.
    """

    length: int = 0
    index: int = 0
    adapter: str | None = None


@dataclass(frozen=True)
class RunnerState:
    """A row that has left: `length` tokens and what the runner needs to continue after them.

    It may be continued once: the row that continues it writes into the same memory, after these tokens. It continues
    with the adapter that read them.
    """

    length: int
    content: Any
    adapter: str | None = None


class LanguageRunner(Protocol):
    adapters: tuple[str, ...]
    """Names of the adapters that a row can be opened with."""

    def embed(self, ids: Tensor) -> Tensor:
        """(T,) int64 -> (T, D)."""
        ...

    def open_row(self, state: RunnerState | None = None, adapter: str | None = None) -> RunnerRow:
        """A new row, empty or continued from a state.

        Raises:
            SeedxError: there is no such adapter, or the state is another one's.
        """
        ...

    def forward(self, rows: Sequence[RunnerRow], embeds: Sequence[Tensor]) -> list[Tensor]:
        """Read (T, D) more in each of the rows -> the final states (T, D) of these tokens, after the last norm."""
        ...

    def logits(self, states: Tensor) -> Tensor:
        """(N, D) -> (N, V) float32."""
        ...

    def close_row(self, row: RunnerRow, keep: bool = False) -> RunnerState | None:
        """Let a row leave; its state, if it is to be kept."""
        ...
