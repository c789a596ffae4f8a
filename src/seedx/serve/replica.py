"""One replica: the whole application in a process of its own, asked by calls in place of a socket.

The process is an actor of Ray Serve, but nothing here knows Ray.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.types import Message

from seedx.cluster import use_granted_threads
from seedx.inference.loading import load_engine
from seedx.serve.app import create_app
from seedx.serve.fetch import Fetcher
from seedx.serve.service import Service
from seedx.serve.settings import Batching, ChatDrawing, Limits


@dataclass(frozen=True)
class ReplicaOptions:
    """What a replica serves. It can be pickled.

    Attributes:
        name: for clients.
        load_options: as `seedx.load` takes them.
        allow_urls: fetch pictures that requests name by http(s).
        drawing: of a chat whose request does not say.
    """

    model: str
    name: str
    load_options: dict[str, Any]
    limits: Limits
    batching: Batching
    allow_urls: bool = False
    drawing: ChatDrawing = "auto"


@dataclass(frozen=True)
class Asked:
    """A request of HTTP with its whole body."""

    method: str
    path: str
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Replica:
    """Who may ask and how large a body is were checked before."""

    def __init__(self, options: ReplicaOptions) -> None:
        use_granted_threads()
        engine = load_engine(options.model, **options.load_options)
        fetcher = Fetcher() if options.allow_urls else None
        self.service = Service(engine, options.name, options.limits, options.batching, fetcher, drawing=options.drawing)
        self.app = create_app(self.service)
        self.service.start()

    async def answer(self, asked: Asked) -> AsyncIterator[Message]:
        """The messages of ASGI that answer a request, as they come."""
        async for message in answered(self.app, asked):
            yield message

    def metrics(self) -> str:
        """In the form of Prometheus."""
        return self.service.metrics.text().decode()

    def cached_tokens(self) -> int:
        """Tokens of past conversations whose states are kept here."""
        return self.service.scheduler.cache.tokens

    def process(self) -> int:
        """The number of this process."""
        import os

        return os.getpid()


async def answered(app: FastAPI, asked: Asked) -> AsyncIterator[Message]:
    """Ask an ASGI application. If the caller leaves before the end, the application sees its client disconnect."""
    sent: asyncio.Queue[Message | None] = asyncio.Queue()
    gone = asyncio.Event()
    bodies = [{"type": "http.request", "body": asked.body, "more_body": False}]

    async def receive() -> Message:
        if bodies:
            return bodies.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def run() -> None:
        try:
            await app(_scope(asked), receive, sent.put)
        finally:
            await sent.put(None)

    task = asyncio.ensure_future(run())
    try:
        while (message := await sent.get()) is not None:
            yield message
        await task  # raises what the application did
    finally:
        gone.set()
        if not task.done():
            await asyncio.wait({task}, timeout=5)
            task.cancel()


def _scope(asked: Asked) -> dict[str, Any]:
    path, _, query = asked.path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": asked.headers,
        "client": None,
        "server": None,
    }
