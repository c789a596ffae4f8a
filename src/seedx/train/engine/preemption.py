"""Preemption: SIGTERM (from a scheduler) and Ctrl-C stop a run after the current step, with a checkpoint."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def handle_signals() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether a signal has come. A second one acts at once, as it does by default."""
    requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield requested.is_set
        return

    def note(number: int, frame: Any) -> None:
        requested.set()
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield requested.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
