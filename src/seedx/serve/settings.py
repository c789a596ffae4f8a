"""What the owner of a server decides about its load. Standard library only: the command line is made from this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ChatDrawing = Literal["auto", "forbid"]  # of a chat whose request does not say


@dataclass(frozen=True)
class Limits:
    """What one request and all of them together may take. More is refused with a message that says the limit."""

    max_body_mb: int = 64
    """Megabytes of a request's body, its pictures included."""
    max_images: int = 16
    """Pictures in a request."""
    max_image_pixels: int = 50_000_000
    """Pixels of a picture."""
    max_tokens: int = 2048
    """Tokens of a reply, those of its images included."""
    max_steps: int = 100
    """Denoising steps of an image."""
    max_n: int = 10
    """Replies or images of one request (`n`)."""
    max_area: int = 4
    """An image is drawn at no more than so many times the pixels that the model draws best."""
    max_queue: int = 256
    """Requests that wait for a place in the batch. One more is answered 429."""
    max_seconds: float = 600
    """Of a request, from its arrival to its end."""


@dataclass(frozen=True)
class Batching:
    """Sizes of the running batch."""

    max_rows: int = 32
    """Replies that are generated together."""
    max_drawn: int = 8
    """Images that are denoised together."""
    prompt_tokens: int = 512
    """Tokens of prompts that one pass reads, so that a long prompt does not hold up the replies of others."""
    max_tiles: int = 36
    """Tiles of pictures that are encoded together."""
    cache_tokens: int = 32_768
    """Tokens of past conversations whose states are kept; 0 keeps none."""


LIMITS = Limits()
BATCHING = Batching()
