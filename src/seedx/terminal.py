"""Tables in the terminal, by rich: fitted to the window there; in a pipe or a file plain, and never cut."""

from __future__ import annotations

import io
import sys
from collections.abc import Collection
from typing import IO

from rich.console import Console
from rich.table import Table

WIDE = 1000  # characters of a line where there is no window


def new_table(*columns: str, words: Collection[str] = ()) -> Table:
    """A table without lines. The first column and those in `words` are aligned left, all others (numbers) right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, column in enumerate(columns):
        left = number == 0 or column in words
        table.add_column(column, justify="left" if left else "right", overflow="fold")
    return table


def print_table(table: Table) -> None:
    """On standard output."""
    _console(sys.stdout, None if sys.stdout.isatty() else WIDE).print(table)


def table_text(table: Table) -> str:
    """The table as `print_table` writes it into a file."""
    file = io.StringIO()
    _console(file, WIDE).print(table)
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


def _console(file: IO[str], width: int | None) -> Console:
    """Cells are shown as they are: no markup such as [bold], no highlighting of numbers."""
    return Console(file=file, width=width, markup=False, emoji=False, highlight=False)
