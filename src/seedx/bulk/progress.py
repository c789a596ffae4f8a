"""How far a run is: a bar in a terminal; elsewhere, such as in the log of a job, a line a minute."""

from __future__ import annotations

import contextlib
import datetime
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

LINE = 60.0  # seconds between lines


class Shown:
    """
    Args:
        count: how many inputs there are, or None where that is not known; called in a thread, as it may take long.
        done: how many have a row from earlier runs.
    """

    def __init__(self, count: Callable[[], int | None], done: int) -> None:
        self.before, self.done, self.errors = done, done, 0
        self.total: int | None = None
        self._start = self._shown = time.monotonic()
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("", total=None, completed=done)
        threading.Thread(target=self._count, args=(count,), daemon=True).start()

    def __enter__(self) -> Shown:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def add(self, rows: int, errors: int) -> None:
        self.done += rows
        self.errors += errors
        if self._bar:
            self._bar.update(self._task, completed=self.done, total=self.total, description=self.text)
        elif time.monotonic() - self._shown >= LINE:
            self._shown = time.monotonic()
            of = f" of {self.total:,}" if self.total else ""
            print(f"seedx: {self.done:,}{of} inputs, {self.text}", file=sys.stderr, flush=True)

    @property
    def text(self) -> str:
        """Rate, errors, and the time that is left at this rate."""
        rate = (self.done - self.before) / max(1e-9, time.monotonic() - self._start)
        parts = [f"{rate:.1f} a second"]
        if self.errors:
            parts.append(f"{self.errors:,} errors")
        if self.total and rate > 0:
            parts.append(f"{datetime.timedelta(seconds=round(max(0, self.total - self.done) / rate))} left")
        return ", ".join(parts)

    def _count(self, count: Callable[[], int | None]) -> None:
        with contextlib.suppress(Exception):  # of the files: the run itself says what is wrong with them
            self.total = count()
