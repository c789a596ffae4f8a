"""The border to whoever runs the language model: embeddings in; states, logits and a row's state out.

A row is one conversation in progress. Rows join and leave at any time, and a pass runs any of them together:

    row = runner.open_row()
    states = runner.forward([row], [runner.embed(ids)], [4])[0]    # (4, D), of the last four; row.length is now T
    logits = runner.logits([row])                                  # (1, V), of the token after them
    state = runner.close_row(row, keep=True)                       # `open_row(state)` continues, here or elsewhere

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

    def forward(self, rows: Sequence[RunnerRow], embeds: Sequence[Tensor], wanted: Sequence[int]) -> list[Tensor]:
        """Read (T, D) more in each of the rows -> final states (W, D), after the last norm.

        Args:
            wanted: how many of a row's last tokens the states are wanted of, W; 0 if only `logits` follow.

        Raises:
            SeedxError: a row is longer than the context.
        """
        ...

    def logits(self, rows: Sequence[RunnerRow]) -> Tensor:
        """(N, V) float32, of the next token of N rows of the last pass."""
        ...

    def close_row(self, row: RunnerRow, keep: bool = False) -> RunnerState | None:
        """Let a row leave; its state, if it is to be kept."""
        ...
