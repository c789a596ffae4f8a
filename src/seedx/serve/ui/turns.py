"""One reply of the service for the page, as it comes, until it ends or is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import PIL.Image

from seedx.inference.engine import Request
from seedx.inference.reply import Reply
from seedx.serve.errors import ServeError
from seedx.serve.jobs import Ended, ImageBegun, ImageDone, Preview, TextPiece
from seedx.serve.replies import Replies
from seedx.serve.service import Service
from seedx.serve.ui.visits import Visit

PREVIEWS = 4  # of each image
PAUSE = 0.15  # seconds between two updates of a text: a browser can't show more, and each costs the server

Event = TextPiece | Preview | ImageBegun | ImageDone | Ended


@dataclass
class Slot:
    """A picture of a reply.

    Attributes:
        picture: the picture, or its newest preview.
        share: of its previews that were shown, from 0 to 1.
    """

    picture: PIL.Image.Image | None = None
    share: float = 0.0
    done: bool = False


@dataclass
class Progress:
    """A reply so far.

    Attributes:
        parts: visible text and pictures, in order.
        reply: what came, at the end; None before it.
        stopped: the visitor ended it.
    """

    parts: list[str | Slot] = field(default_factory=list)
    reply: Reply | None = None
    stopped: bool = False

    @property
    def slots(self) -> list[Slot]:
        return [part for part in self.parts if isinstance(part, Slot)]

    def add(self, event: Event) -> None:
        if isinstance(event, TextPiece):
            if self.parts and isinstance(self.parts[-1], str):
                self.parts[-1] += event.text
            else:
                self.parts.append(event.text)
        elif isinstance(event, ImageBegun):
            self.parts.append(Slot())
        elif isinstance(event, Preview):
            slot = self.slots[event.number]
            slot.picture, slot.share = event.image, (event.index + 1) / (PREVIEWS + 1)
        elif isinstance(event, ImageDone):
            slot = self.slots[event.number]
            slot.picture, slot.share, slot.done = event.image, 1.0, True


async def respond(service: Service, request: Request, visit: Visit, name: str) -> AsyncIterator[Progress]:
    """The same `Progress`, whenever there is something new to show. The last one has the reply.

    Args:
        name: of the ability, for the metrics.

    Raises:
        ServeError: it can't be answered, or failed on the way.
    """
    progress, stop, start, status = Progress(), asyncio.Event(), time.monotonic(), 499
    visit.running.add(stop)
    try:
        async with Replies(service, previews=PREVIEWS) as replies:
            await replies.begin([request])
            yield progress
            shown = 0.0
            async for event in _until(replies, stop):
                progress.add(event)
                if isinstance(event, TextPiece) and time.monotonic() - shown < PAUSE:
                    continue
                shown = time.monotonic()
                yield progress
            progress.stopped, progress.reply = stop.is_set(), replies.collected[0].reply
        status = 499 if progress.stopped else 200
        yield progress
    except ServeError as error:
        status = error.status
        raise
    finally:
        visit.running.discard(stop)
        service.metrics.requests.labels(f"/ui/{name}", str(status)).inc()
        service.metrics.latency.labels(f"/ui/{name}").observe(time.monotonic() - start)


async def _until(replies: Replies, stop: asyncio.Event) -> AsyncIterator[Event]:
    """The events of one reply, until it ends or is stopped."""
    events = aiter(replies)
    stopped = asyncio.ensure_future(stop.wait())
    try:
        while True:
            coming = asyncio.ensure_future(anext(events))
            await asyncio.wait({coming, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                coming.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await coming
                return
            try:
                _, event = coming.result()
            except StopAsyncIteration:
                return
            yield event
    finally:
        stopped.cancel()
