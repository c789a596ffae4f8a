"""A reply as its caller sees it: what is asked, and the events that come back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import PIL.Image

from seedx.inference.engine import Request
from seedx.inference.rows import RowRequest
from seedx.serve.errors import ServeError
from seedx.serve.prefix_cache import Keys


@dataclass(frozen=True)
class TextPiece:
    text: str


@dataclass(frozen=True)
class Preview:
    """What an image looks like so far: `number` of the image in its reply, `index` of the preview, from 0."""

    number: int
    index: int
    image: PIL.Image.Image


@dataclass(frozen=True)
class ImageBegun:
    """Image `number` of the reply is at this place of its text."""

    number: int


@dataclass(frozen=True)
class ImageDone:
    number: int
    image: PIL.Image.Image


@dataclass(frozen=True)
class Ended:
    """The last event of a job.

    Attributes:
        reason: "stop" or "length".
        tokens: of the reply.
        cached: tokens of the prompt that were known from an earlier turn.
    """

    reason: Literal["stop", "length"]
    tokens: int
    cached: int


JobEvent: TypeAlias = TextPiece | Preview | ImageBegun | ImageDone | Ended | ServeError
Emit: TypeAlias = Callable[[JobEvent], None]


@dataclass(eq=False)
class Job:
    """One reply.

    Attributes:
        emit: called with each event in the scheduler's thread; it must return at once. The last one is `Ended` or a
            `ServeError`; an aborted job has none.
        previews: of each image, how many are wanted.
        deadline: by `time.monotonic`.
    """

    request: Request
    row: RowRequest
    keys: Keys
    emit: Emit
    previews: int = 0
    deadline: float = float("inf")
    submitted: float = field(default_factory=time.monotonic)
    aborted: bool = False
    ended: Ended | None = None  # the reply has, its images may have not
    begun: int = 0  # images
    drawn: int = 0
    tokens: int = 0  # of the reply so far
    cached: int = 0
    first: bool = True  # nothing was emitted yet

    @property
    def over(self) -> bool:
        return self.ended is not None and self.drawn == self.begun
