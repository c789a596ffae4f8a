"""Runs the application by uvicorn: says where it listens and how to ask it, and shuts down without losing a request."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from types import FrameType
from typing import Protocol

import uvicorn
from starlette.types import ASGIApp

from seedx.errors import SeedxError

GRACE = 600  # seconds after which requests that still run are ended


class Drained(Protocol):
    """What has requests in progress, and can end without losing one."""

    @property
    def idle(self) -> bool: ...

    @property
    def is_draining(self) -> bool: ...

    def drain(self) -> None: ...

    def join(self, timeout: float | None = None) -> bool: ...


class Server(uvicorn.Server):
    """The first SIGTERM or Ctrl-C refuses new requests (503) and waits for those that run; a second one ends them."""

    def __init__(self, config: uvicorn.Config, scheduler: Drained) -> None:
        super().__init__(config)
        self.scheduler = scheduler
        self._asked = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._asked or (not self.scheduler.is_draining and self.scheduler.idle):
            super().handle_exit(sig, frame)
            return
        self._asked = True
        name = signal.Signals(sig).name
        print(f"seedx: {name}: finishing what runs; a second one ends it", file=sys.stderr)
        self.scheduler.drain()
        threading.Thread(target=self._exit_when_done, daemon=True).start()

    def _exit_when_done(self) -> None:
        self.scheduler.join(GRACE)
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """
    Raises:
        SeedxError: the port is taken, or the host is not of this machine.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_STREAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        opened.listen(1024)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SeedxError(f"can't listen at {host}:{port} ({reason}): give another --port") from error
    return opened


def run(app: ASGIApp, scheduler: Drained, opened: socket.socket) -> None:
    """Serve until a signal ends it."""
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=10)
    Server(config, scheduler).run(sockets=[opened])
