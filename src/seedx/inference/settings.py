"""What a user may set about a reply or an image. Standard library only: the command line is made from these.

Each dataclass has a `TypedDict` of the same names beside it, so that an editor completes `model.draw("a cat", steps=`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypedDict, TypeVar

from seedx.checks import integer, number
from seedx.config import from_dict
from seedx.errors import SeedxError, shorten

Drawing = Literal["auto", "force", "now", "forbid"]
ImageDrawing = Literal["force", "now"]  # of a verb that returns an image
EngineName = Literal["torch", "llama_cpp"]  # who runs the language model
CacheName = Literal["dynamic", "static"]  # of the language model in torch
S = TypeVar("S", bound="DrawSettings")

SEEDS = (-(2**63), 2**63 - 1)
LARGEST_SIDE = 16_384  # pixels


@dataclass(frozen=True)
class DrawSettings:
    """How an image is drawn. What is None is as the model's config says."""

    seed: int = 0
    """The same seed gives the same image, bit by bit on a CPU."""
    size: tuple[int, int] | None = None
    """Width and height in pixels, multiples of the autoencoder's factor."""
    steps: int | None = None
    """Denoising steps: more are slower and finer."""
    sampler: str | None = None
    """Name of a diffusers scheduler, such as EulerDiscreteScheduler."""
    guidance: float | None = None
    """Scale of the classifier-free guidance; 1 turns it off."""
    image_guidance: float | None = None
    """Scale of the guidance by the condition image; 1 is neutral."""
    guidance_interval: tuple[float, float] | None = None
    """Guidance only from one share of the steps to another, such as 0 0.5; the other steps are quicker."""
    cache_interval: int | None = None
    """Compute the U-Net's deep features only every so many steps: 2 or 3 is quicker, and a little less exact."""

    def __post_init__(self) -> None:
        self._take(seed=integer("seed", self.seed, *SEEDS))
        if self.steps is not None:
            self._take(steps=integer("steps", self.steps, 1))
        if self.size is not None:
            if not isinstance(self.size, list | tuple) or len(self.size) != 2:
                raise SeedxError(f"size is a width and a height in pixels, not {shorten(self.size)}")
            self._take(size=tuple(integer("a side of size", side, 1, LARGEST_SIDE) for side in self.size))
        if self.cache_interval is not None:
            self._take(cache_interval=integer("cache_interval", self.cache_interval, 1))
        if self.guidance_interval is not None:
            self._take(guidance_interval=_interval(self.guidance_interval))
        if not isinstance(self.sampler, str | None):
            raise SeedxError(f"sampler is the name of a diffusers scheduler, not {shorten(self.sampler)}")
        for name in ("guidance", "image_guidance"):
            if getattr(self, name) is not None:
                self._take(**{name: number(name, getattr(self, name))})

    def _take(self, **values: object) -> None:
        """Set checked values: plain ints and floats in place of numpy's."""
        for name, value in values.items():
            object.__setattr__(self, name, value)


def _interval(given: tuple[float, float]) -> tuple[float, float]:
    """
    Raises:
        SeedxError: it is not two shares from 0 to 1, the first one smaller.
    """
    if isinstance(given, list | tuple) and len(given) == 2:
        first, last = (number("a bound of guidance_interval", share, 0, 1) for share in given)
        if first < last:
            return first, last
    raise SeedxError(
        f"guidance_interval is two shares of the steps from 0 to 1, such as (0, 0.5), not {shorten(given)}"
    )


@dataclass(frozen=True)
class Settings(DrawSettings):
    """How a reply is generated, and its images drawn."""

    temperature: float = 0.0
    """0 takes the most likely token each time; a higher one samples, by the seed."""
    top_p: float = 1.0
    """Sample among the most likely tokens that have this share together."""
    max_new_tokens: int = 512
    """Limit of a reply, the tokens of its images included."""
    release_suppression: bool = False
    """Outside images, their tokens have the logit 0, as in the release, and can win: for comparisons with it alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._take(
            temperature=number("temperature", self.temperature, 0),
            top_p=number("top_p", self.top_p, 0, 1),
            max_new_tokens=integer("max_new_tokens", self.max_new_tokens, 1),
        )
        if not isinstance(self.release_suppression, bool):
            raise SeedxError(f"release_suppression is True or False, not {shorten(self.release_suppression)}")
        if self.top_p == 0:
            raise SeedxError("top_p is more than 0: 1 samples among all tokens, temperature=0 takes the likeliest")


class DrawOptions(TypedDict, total=False):
    """The fields of `DrawSettings` as keyword arguments."""

    seed: int
    size: tuple[int, int] | None
    steps: int | None
    sampler: str | None
    guidance: float | None
    image_guidance: float | None
    guidance_interval: tuple[float, float] | None
    cache_interval: int | None


class ImageOptions(DrawOptions, total=False):
    """The same, and the adapter: see `Options`."""

    adapter: str | None


class SettingsOptions(DrawOptions, total=False):
    """The fields of `Settings` as keyword arguments."""

    temperature: float
    top_p: float
    max_new_tokens: int
    release_suppression: bool


class Options(SettingsOptions, total=False):
    """The same, and the adapter.

    Attributes:
        adapter: a loaded adapter for this request; "base": the model without one; None: the model's default.
    """

    adapter: str | None


class ReplyOptions(Options, total=False):
    """The same, and what a reply may draw.

    Attributes:
        drawing: "auto": the model decides whether to draw; "force": at least one image, in the place of the end if
            need be; "now": the reply starts with an image; "forbid": none.
        condition: an image that is drawn keeps the detail and the ratio of the last one given or drawn before. False:
            it is drawn freely. None: as the model was trained (`seedx.variants`).
    """

    drawing: Drawing
    condition: bool | None


def settings_from(cls: type[S], options: Any) -> S:
    """Keyword arguments as settings.

    Raises:
        SeedxError: an unknown name, with the nearest known one, or a value out of range.
    """
    settings: S = from_dict(cls, options)
    return settings
