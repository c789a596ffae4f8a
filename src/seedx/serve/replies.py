"""Replies in progress, for coroutines: events as they come, or all of a reply at its end. A reply that is left alone,
because its client has gone, is aborted."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType

import PIL.Image

from seedx.errors import SeedxError
from seedx.inference.engine import Request
from seedx.inference.reply import Reply
from seedx.messages import Box, Image, Text, merge_texts
from seedx.serve.errors import ServeError
from seedx.serve.jobs import Emit, Ended, ImageBegun, ImageDone, Job, JobEvent, Preview, TextPiece
from seedx.serve.service import Service
from seedx.serve.text import VisibleText
from seedx.tokens import text_to_boxes


@dataclass
class Collected:
    """All of one reply so far.

    Attributes:
        text: what a client is shown: without boxes, and ended before a stop sequence.
        written: the same as the model wrote it.
        pieces: the same, cut where images are; a number is that of an image.
    """

    text: str = ""
    written: str = ""
    pieces: list[str | int] = field(default_factory=list)
    images: dict[int, PIL.Image.Image] = field(default_factory=dict)
    reason: str = "stop"
    prompt_tokens: int = 0
    cached_tokens: int = 0
    tokens: int = 0

    @property
    def boxes(self) -> list[Box]:
        return text_to_boxes(self.written)

    @property
    def reply(self) -> Reply:
        """The same in the form of the library; an image that was not finished is left out."""
        parts: list[Text | Image[PIL.Image.Image]] = []
        for piece in self.pieces:
            if isinstance(piece, str):
                parts.append(Text(piece))
            elif piece in self.images:
                parts.append(Image(self.images[piece]))
        return Reply(tuple(merge_texts(parts)), self.reason)

    @property
    def drawn(self) -> list[PIL.Image.Image]:
        return [self.images[number] for number in sorted(self.images)]


class Replies:
    """Replies to several requests that were sent together.

        async with Replies(service) as replies:
            await replies.begin(requests)
            async for index, event in replies: ...     # of which request, and what
            replies.collected[0].text

    Args:
        stop: sequences that end a text.
        previews: of each image.
    """

    def __init__(self, service: Service, stop: Sequence[str] = (), previews: int = 0) -> None:
        self.service, self.stop, self.previews = service, stop, previews
        self.jobs: list[Job] = []
        self.collected: list[Collected] = []
        self._texts: list[VisibleText] = []
        self._events: asyncio.Queue[tuple[int, JobEvent]] = asyncio.Queue()
        self._open: set[int] = set()

    async def __aenter__(self) -> Replies:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for index in self._open:
            self.service.scheduler.abort(self.jobs[index])

    async def begin(self, requests: Sequence[Request]) -> None:
        """
        Raises:
            ServeError: one of them can't be answered, or there is no room for them.
        """
        loop = asyncio.get_running_loop()
        deadline = time.monotonic() + self.service.limits.max_seconds

        def prepared() -> list[Job]:
            def emitter(index: int) -> Emit:
                def emit(event: JobEvent) -> None:
                    with contextlib.suppress(RuntimeError):  # the loop has ended: nobody listens any more
                        loop.call_soon_threadsafe(self._events.put_nowait, (index, event))

                return emit

            return [
                self.service.scheduler.prepare(request, emitter(index), self.previews, deadline)
                for index, request in enumerate(requests)
            ]

        try:
            self.jobs = await self.service.in_pool(prepared)
        except ServeError:
            raise
        except SeedxError as error:
            raise ServeError(str(error), 400, "invalid_value") from error
        self.collected = [Collected(prompt_tokens=len(job.keys)) for job in self.jobs]
        self._texts = [VisibleText(self.stop) for _ in self.jobs]
        self.service.scheduler.submit(self.jobs)
        self._open = set(range(len(self.jobs)))

    async def __aiter__(self) -> AsyncIterator[tuple[int, TextPiece | Preview | ImageBegun | ImageDone | Ended]]:
        """Visible pieces of text, previews, images and the ends of replies.

        Raises:
            ServeError: a reply failed; the others are aborted at the end of the block.
        """
        while self._open:
            index, event = await self._events.get()
            if index not in self._open:  # ended by a stop sequence
                continue
            collected = self.collected[index]
            if isinstance(event, ServeError):
                self._open.discard(index)
                raise event
            if isinstance(event, TextPiece):
                collected.pieces.append(event.text)
                if piece := self._texts[index].push(event.text):
                    collected.text += piece
                    yield index, TextPiece(piece)
                job = self.jobs[index]
                if self._texts[index].stopped and not job.begun:
                    self.service.scheduler.abort(job)
                    end = Ended("stop", job.tokens, job.cached)
                    self._ended(index, end)
                    yield index, end
            elif isinstance(event, ImageBegun):
                collected.pieces.append(event.number)
                if piece := self._texts[index].image():
                    collected.text += piece
                    yield index, TextPiece(piece)
                yield index, event
            elif isinstance(event, ImageDone):
                collected.images[event.number] = event.image
                yield index, event
            elif isinstance(event, Ended):
                if piece := self._texts[index].flush():
                    collected.text += piece
                    yield index, TextPiece(piece)
                self._ended(index, event)
                yield index, event
            elif isinstance(event, Preview):
                yield index, event

    async def all(self) -> list[Collected]:
        """Wait for the end of all replies."""
        async for _ in self:
            pass
        return self.collected

    def _ended(self, index: int, event: Ended) -> None:
        collected = self.collected[index]
        collected.written = self._texts[index].written
        collected.reason, collected.tokens, collected.cached_tokens = event.reason, event.tokens, event.cached
        self._open.discard(index)
