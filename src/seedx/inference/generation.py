"""What generation takes and gives: prompts, options, sessions, events and answers.

Shapes:
    R tiles read, S side of a tile in pixels, Q and D tokens and width of the visual tokenizer
    K placeholders an image, Kp features an image when drawing, dim width of the language model
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from torch import Tensor

from seedx.batch import Encoded
from seedx.errors import SeedxError
from seedx.model.cache import Cache
from seedx.model.seedx import SeedX


@dataclass(frozen=True)
class Prompt:
    """What one row reads.

    Attributes:
        ids: its tokens. If the last one is `<img>`, the answer starts with that image.
        tiles: pixels (R, 3, S, S) or features (R, Q, D) of the images that it reads, in order.
        tile_positions: (R, 2) centres.
        read_mask: for each token, whether it is a placeholder of `tiles`; None: every placeholder is.
    """

    ids: Sequence[int]
    tiles: Tensor | None = None
    tile_positions: Tensor | None = None
    read_mask: Sequence[bool] | None = None

    @classmethod
    def of(cls, encoded: Encoded) -> Prompt:
        """What `prompt.encode` or `prompt.prepare` made `for_generation`."""
        return cls(encoded.input_ids.tolist(), encoded.tiles, encoded.tile_positions, encoded.read_mask.tolist())


@dataclass(frozen=True)
class Options:
    """
    Attributes:
        max_new_tokens: limit of an answer, the tokens of its images included.
        temperature: 0 is greedy.
        top_p: sample among the likeliest tokens that have this share together.
        seed: of the sampling, one for all rows or one for each. A row's answer does not depend on its batch.
        images: "auto": the model decides; "force": at least one, in the place of the end if need be; "forbid": none.
        release_suppression: outside spans, placeholders and `</img>` have the logit 0 (the release's rule, for parity).
    """

    max_new_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | Sequence[int] = 0
    images: Literal["auto", "force", "forbid"] = "auto"
    release_suppression: bool = False

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise SeedxError(f"max_new_tokens is at least 1, not {self.max_new_tokens}")
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise SeedxError(f"temperature is 0 or more and top_p in (0, 1], not {self.temperature} and {self.top_p}")
        if self.images not in ("auto", "force", "forbid"):
            raise SeedxError(f'images is "auto", "force" or "forbid", not {self.images!r}')


@dataclass(frozen=True)
class Text:
    """The next piece of text."""

    text: str


@dataclass(frozen=True)
class ImageFeatures:
    """A drawn image: features (Kp, D) for the de-tokenizer, regressed from the states (K, dim) of its placeholders."""

    features: Tensor
    states: Tensor


@dataclass(frozen=True)
class End:
    """The row is done: "stop" by EOS, "length" by max_new_tokens or the context. `ids`: all its new tokens."""

    reason: Literal["stop", "length"]
    ids: list[int]


Event: TypeAlias = Text | ImageFeatures | End


@dataclass
class Answer:
    """All of one row: its texts and images in order."""

    parts: list[Text | ImageFeatures] = field(default_factory=list)
    reason: str = ""
    ids: list[int] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def images(self) -> list[Tensor]:
        return [part.features for part in self.parts if isinstance(part, ImageFeatures)]


@dataclass
class Session:
    """What rows have read and said. Pass it to each turn; a turn's prompt then holds only what is new.

    Attributes:
        lengths: tokens that the cache holds, of each row.
        pending: tokens of each row's last answer that were chosen and not yet read.
    """

    cache: Cache
    lengths: list[int]
    pending: list[list[int]]

    @classmethod
    def start(cls, model: SeedX, rows: int = 1) -> Session:
        return cls(model.language.new_cache(), [0] * rows, [[] for _ in range(rows)])
