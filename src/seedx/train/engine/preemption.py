"""Stopping on request: SIGTERM (a scheduler takes the machine back) and Ctrl-C end a run after its step, saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_request() -> Iterator[Callable[[], bool]]:
    """Gives a function that tells whether the process was asked to stop. Asked twice, it stops at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only that one may handle signals
        yield asked.is_set
        return

    def note(number: int, frame: Any) -> None:
        asked.set()
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
