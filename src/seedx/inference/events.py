"""What comes of a row while it is generated: text, images and its end.

Shapes:
    K placeholders an image, Kp features an image when drawing, D width of the visual tokenizer
    dim width of the language model
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from torch import Tensor


@dataclass(frozen=True)
class TextEvent:
    """The next piece of text."""

    text: str


@dataclass(frozen=True)
class ImageEvent:
    """An image: features (Kp, D) for the de-tokenizer, regressed from the states (K, dim) of its placeholders; and its
    plan, as `Image.plan`."""

    features: Tensor
    states: Tensor
    plan: str = ""


@dataclass(frozen=True)
class EndEvent:
    """The end of a row: "stop" by EOS, "length" by max_new_tokens or the context. `ids`: all its new tokens."""

    reason: Literal["stop", "length"]
    ids: list[int]


Event: TypeAlias = TextEvent | ImageEvent | EndEvent


@dataclass
class Answer:
    """All of one row: its texts and images in order."""

    parts: list[TextEvent | ImageEvent] = field(default_factory=list)
    reason: str = ""
    ids: list[int] = field(default_factory=list)

    def add(self, event: Event) -> None:
        if isinstance(event, EndEvent):
            self.reason, self.ids = event.reason, event.ids
        elif isinstance(event, TextEvent) and self.parts and isinstance(self.parts[-1], TextEvent):
            self.parts[-1] = TextEvent(self.parts[-1].text + event.text)
        else:
            self.parts.append(event)

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, TextEvent))

    @property
    def images(self) -> list[Tensor]:
        return [part.features for part in self.parts if isinstance(part, ImageEvent)]
