"""Before several replicas: who may ask and how much, which replica answers, and what becomes of a lost one's requests.

    client -> front: key, size, body read -> a replica by the conversation's key -> its answer, streamed through

A conversation's requests have its first turns in common, so the hash of these names it, and Ray Serve's consistent
hashing brings it to the replica that holds its cache. A replica that is full passes it on to the next. If one dies,
what it was answering is answered 503, which clients send again; the conversations of the others stay where they are.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import threading
import uuid
from collections.abc import AsyncIterator
from typing import Protocol

from prometheus_client.parser import text_string_to_metric_families
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seedx.serve.app import Access
from seedx.serve.errors import ServeError, draining, failed
from seedx.serve.guard import Guard, answer
from seedx.serve.replica import Asked

log = logging.getLogger("seedx.serve")


class Replicas(Protocol):
    """Several replicas, whoever runs them."""

    def ask(self, asked: Asked, conversation: str) -> AsyncIterator[Message]:
        """The messages of ASGI that answer. Closing the iterator ends the work.

        Raises:
            ServeError: the replica died, or all are full.
        """
        ...

    async def metrics(self) -> list[str]:
        """Of each replica."""
        ...


class Front:
    """An ASGI application, with the means to end without losing a request (`server.Drained`)."""

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas
        self._running = 0
        self._draining = False
        self._ended = threading.Event()

    @property
    def idle(self) -> bool:
        return not self._running

    @property
    def is_draining(self) -> bool:
        return self._draining

    def drain(self) -> None:
        self._draining = True
        self._check_end()

    def join(self, timeout: float | None = None) -> bool:
        return self._ended.wait(timeout)

    def _check_end(self) -> None:
        if self._draining and not self._running:
            self._ended.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["path"] == "/health":
            status = "draining" if self._draining else "ready"
            await JSONResponse({"status": status}, 503 if self._draining else 200)(scope, receive, send)
        elif scope["path"] == "/metrics":
            text = summed(await self.replicas.metrics())
            await Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")(scope, receive, send)
        elif self._draining:
            await answer(draining())(scope, receive, send)
        else:
            self._running += 1
            try:
                await self._pass_on(scope, receive, send)
            finally:
                self._running -= 1
                self._check_end()

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        query = scope["query_string"].decode("latin-1")
        path = scope["path"] + (f"?{query}" if query else "")
        asked = Asked(scope["method"], path, list(scope["headers"]), body)
        relay = _Relay(send)
        work = asyncio.ensure_future(relay.run(self.replicas.ask(asked, conversation_of(body))))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await relay.fail(work.exception(), scope, receive)
        finally:
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)


class _Relay:
    """Passes an answer on."""

    def __init__(self, send: Send) -> None:
        self.send = send
        self.begun = self.events = False

    async def run(self, messages: AsyncIterator[Message]) -> None:
        async for message in messages:
            if message["type"] == "http.response.start":
                self.events = any(
                    name.lower() == b"content-type" and b"event-stream" in value for name, value in message["headers"]
                )
            self.begun = True
            await self.send(message)

    async def fail(self, error: BaseException | None, scope: Scope, receive: Receive) -> None:
        """Answer with the error; in a stream that has begun, it is its last event."""
        if error is None:
            return
        if not isinstance(error, ServeError):
            log.error("a request failed", exc_info=error)
            error = failed()
        if not self.begun:
            await answer(error)(scope, receive, self.send)
        elif self.events:
            body = f"data: {json.dumps({'type': 'error', **error.body()})}\n\n".encode()
            await self.send({"type": "http.response.body", "body": body, "more_body": False})
        else:
            raise error


def create_front(front: Front, access: Access, max_bytes: int) -> ASGIApp:
    """The application with what each request passes first."""
    app: ASGIApp = Guard(front, access.keys, max_bytes)
    if access.hosts:
        app = TrustedHostMiddleware(app, allowed_hosts=list(access.hosts), www_redirect=False)
    if access.origins:
        app = CORSMiddleware(app, allow_origins=list(access.origins), allow_methods=["*"], allow_headers=["*"])
    return app


def conversation_of(body: bytes) -> str:
    """The name of a conversation: the hash of its turns up to the first of the user. Other requests have one each."""
    try:
        fields = json.loads(body)
        turns = fields.get("messages", fields.get("input"))
        if isinstance(turns, list) and turns:
            first = next((at for at, turn in enumerate(turns) if turn.get("role") == "user"), 0)
            turns = turns[: first + 1]
        if turns:
            beginning = json.dumps([fields.get("user"), turns], sort_keys=True)
            return hashlib.blake2b(beginning.encode(), digest_size=16).hexdigest()
    except (ValueError, AttributeError, RecursionError):  # the replica says what is wrong with it
        pass
    return uuid.uuid4().hex


def summed(texts: list[str]) -> str:
    """Metrics of several replicas as their sums."""
    values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    heads: dict[str, str] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            kind = f"# HELP {family.name} {family.documentation}\n# TYPE {family.name} {family.type}\n"
            for sample in family.samples:
                if not sample.name.endswith("_created"):
                    heads.setdefault(sample.name, kind)
                    key = sample.name, tuple(sorted(sample.labels.items()))
                    values[key] = values.get(key, 0.0) + sample.value
    lines, shown = list[str](), set[str]()
    for (name, labels), value in values.items():
        if heads[name] not in shown:
            shown.add(heads[name])
            lines.append(heads[name])
        inner = ",".join(f'{label}="{text}"' for label, text in labels)
        lines.append(f"{name}{{{inner}}} {value}\n" if inner else f"{name} {value}\n")
    return "".join(lines)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"].removeprefix("lifespan.")
        await send({"type": f"lifespan.{kind}.complete"})
        if kind == "shutdown":
            return
