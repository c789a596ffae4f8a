"""What the server keeps for each open page, in memory alone; it ends with the page."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import PIL.Image

from seedx.messages import Image, Message, images

MOST_VISITS = 256  # the one that was used least is forgotten first
MOST_PICTURES = 64  # of a visit's conversation, and of its gallery


@dataclass(frozen=True)
class Drawn:
    """A picture of the gallery, with what it takes to draw it again.

    Attributes:
        settings: what was set, by the names of the page's fields; the seed always is.
        number: in its reply, from 1, if that has several.
    """

    picture: PIL.Image.Image
    prompt: str
    settings: dict[str, object]
    number: int | None = None

    @property
    def caption(self) -> str:
        place = f" · picture {self.number}" if self.number else ""
        return f"seed {self.settings['seed']}{place} · {self.prompt}"


@dataclass(eq=False)
class Visit:
    """
    Attributes:
        messages: the conversation.
        shown: the same as the chat shows it.
        drawn: the gallery, the newest first.
        edited: the result of the last edit.
        running: what a stop ends.
        talking: the conversation (its `shown`) in which a reply is being written.
    """

    messages: list[Message[PIL.Image.Image]] = field(default_factory=list)
    shown: list[dict[str, str]] = field(default_factory=list)
    drawn: list[Drawn] = field(default_factory=list)
    edited: PIL.Image.Image | None = None
    running: set[asyncio.Event] = field(default_factory=set)
    talking: list[dict[str, str]] | None = None

    def stop(self) -> None:
        """End what runs, at its next step."""
        for each in list(self.running):
            each.set()

    def forget_conversation(self) -> None:
        self.stop()
        self.messages, self.shown, self.talking = [], [], None

    def keep(self, drawn: Drawn) -> None:
        self.drawn = [drawn, *self.drawn][:MOST_PICTURES]

    @property
    def full(self) -> bool:
        """The conversation holds as many pictures as it may."""
        return len(images(self.messages)) >= MOST_PICTURES

    @property
    def last_picture(self) -> PIL.Image.Image | None:
        """What boxes are on, and what an edit changes."""
        shown: list[Image[PIL.Image.Image]] = images(self.messages)
        return shown[-1].image if shown else None


class Visits:
    """By the name that gradio gives a page: random, and known to that page alone."""

    def __init__(self, most: int = MOST_VISITS) -> None:
        self.most = most
        self._visits: OrderedDict[str, Visit] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, name: str | None) -> Visit:
        with self._lock:
            visit = self._visits.setdefault(name or "", Visit())
            self._visits.move_to_end(name or "")
            gone = [self._visits.popitem(last=False)[1] for _ in range(len(self._visits) - self.most)]
        for each in gone:
            each.stop()
        return visit

    def leave(self, name: str | None) -> None:
        """The page was closed: its work ends, and nothing of it is kept."""
        with self._lock:
            visit = self._visits.pop(name or "", None)
        if visit is not None:
            visit.stop()

    def __len__(self) -> int:
        return len(self._visits)
