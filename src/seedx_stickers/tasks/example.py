"""An example of a task: a conversation, and what is needed to score its answers."""

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
    """The ground truth of one answer. A task sets the fields that apply to it.

    Attributes:
        text: of the answer; compared after `normalise`.
        type: the type of the question, or the edit's operation.
        boxes: the boxes asked for, left to right.
        source: the scene that is read.
        target: the scene to be drawn.
        asked: the things that the prompt of a drawing names, with counts and places.
        names: of an edit: the object that it changes, then the object or background that it adds.
        place: the place in the instruction of an edit.
        touched: boxes outside which the source and the target of an edit are equal.
        frames: the sentences of a story and their pictures.
        pictures: all scenes that are read, in order, if there are several.
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
    """A conversation whose pictures are scenes (`Image(scene)`), and the ground truth of each assistant's turn."""

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
