"""Requests that join a running batch at random moments, as their clients see them."""

from __future__ import annotations

import queue
import random
import time
from collections.abc import Sequence

from seedx.inference.engine import Request
from seedx.inference.reply import Reply
from seedx.messages import Text
from seedx.serve.errors import ServeError
from seedx.serve.jobs import Ended, ImageDone, Job, JobEvent, TextPiece
from seedx.serve.scheduler import Scheduler


class Client:
    """One reply, as its client sees it."""

    def __init__(self, scheduler: Scheduler, request: Request, previews: int = 0, deadline: float = float("inf")):
        self.events: queue.Queue[JobEvent] = queue.Queue()
        self.job: Job = scheduler.prepare(request, self.events.put, previews, deadline)

    def all(self, seconds: float = 120) -> list[JobEvent]:
        found: list[JobEvent] = []
        while not found or not isinstance(found[-1], Ended | ServeError):
            found.append(self.events.get(timeout=seconds))
        return found


def text_of(events: list[JobEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextPiece))


def images_of(events: list[JobEvent]) -> list[ImageDone]:
    return sorted((event for event in events if isinstance(event, ImageDone)), key=lambda event: event.number)


def written(reply: Reply) -> str:
    return "".join(part.text for part in reply.content if isinstance(part, Text))


def together(scheduler: Scheduler, requests: Sequence[Request], seed: int = 1) -> list[list[JobEvent]]:
    """The events of each request; they join one after the other, at random moments."""
    clients, rng = [Client(scheduler, request) for request in requests], random.Random(seed)
    scheduler.start()
    for client in clients:
        scheduler.submit([client.job])
        time.sleep(rng.random() * 0.02)
    return [client.all() for client in clients]
