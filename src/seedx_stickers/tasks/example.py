"""What every task gives: a conversation, and what scoring its answers needs."""

from __future__ import annotations

from dataclasses import dataclass, field

from seedx.messages import Box, Image, Message
from seedx_stickers.layout import Ask
from seedx_stickers.scenes import Corners, Scene, is_unseen


@dataclass(frozen=True)
class Frame:
    """A sentence of a story and its picture."""

    text: str
    scene: Scene


@dataclass(frozen=True)
class Expected:
    """What is right in one answer. Each task fills what it has.

    Attributes:
        text: the answer's words; compare them after `normalise`.
        type: the type of the question, or the edit's operation.
        boxes: the boxes asked for, left to right.
        source: the scene that is read.
        target: the scene to be drawn.
        asked: the things that a drawing names, with counts and places.
        names: of an edit, the object that it changes, then the object or background that it brings.
        place: the place that an edit names.
        touched: boxes of an edit outside which source and target are equal.
        frames: the sentences of a story and their pictures.
        pictures: all scenes that are read, in order, where there are several.
    """

    text: str = ""
    type: str = ""
    boxes: tuple[Box, ...] = ()
    source: Scene | None = None
    target: Scene | None = None
    asked: tuple[Ask, ...] = ()
    names: tuple[str, ...] = ()
    place: str = ""
    touched: tuple[Corners, ...] = ()
    frames: tuple[Frame, ...] = ()
    pictures: tuple[Scene, ...] = ()


@dataclass
class Example:
    """A conversation whose pictures are scenes (`Image(scene)`), and what is expected of each assistant's turn."""

    kind: str
    messages: list[Message[Scene]]
    expected: list[Expected] = field(default_factory=list)

    @property
    def scenes(self) -> list[Scene]:
        """Every picture in order, read or drawn."""
        return [part.image for turn in self.messages for part in turn.content if isinstance(part, Image)]

    @property
    def unseen(self) -> bool:
        """Whether a picture holds a combination that never occurs in training."""
        return any(is_unseen(scene) for scene in self.scenes)
