"""What a user may set about an answer or a picture. Standard library only: the command line is made from these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from seedx.config import from_dict
from seedx.errors import SeedxError

Drawing = Literal["auto", "force", "forbid"]
S = TypeVar("S", bound="DrawSettings")


@dataclass(frozen=True)
class DrawSettings:
    """How a picture is drawn. What is None is as the model's config says."""

    seed: int = 0
    """The same seed gives the same picture, bit by bit on a CPU."""
    size: tuple[int, int] | None = None
    """Width and height in pixels, multiples of the autoencoder's factor."""
    steps: int | None = None
    """Steps of the sampler: more are slower and finer."""
    sampler: str | None = None
    """Name of a diffusers scheduler, such as EulerDiscreteScheduler."""
    guidance: float | None = None
    """How much what is asked for is exaggerated; 1: not at all."""
    image_guidance: float | None = None
    """How much of the condition picture is kept; 1: neutral."""

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise SeedxError(f"steps is at least 1, not {self.steps}")
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise SeedxError(f"size is a width and a height in pixels, not {self.size}")


@dataclass(frozen=True)
class Settings(DrawSettings):
    """How an answer is written, and its pictures drawn."""

    temperature: float = 0.0
    """0 takes the likeliest word each time; more varies, by the seed."""
    top_p: float = 1.0
    """Choose among the likeliest words that have this share together."""
    max_new_tokens: int = 512
    """Limit of an answer, the tokens of its pictures included."""


def settings_from(cls: type[S], options: dict[str, Any]) -> S:
    """Keyword arguments as settings.

    Raises:
        SeedxError: an unknown name, with the nearest known one, or a value out of range.
    """
    return from_dict(cls, options)
