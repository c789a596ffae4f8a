"""What a model says: text, boxes and pictures."""

from __future__ import annotations

from dataclasses import dataclass

import PIL.Image

from seedx.messages import Box, Image, Text
from seedx.tokens import strip_boxes, text_to_boxes

PICTURE = "\0"  # stands for one within a text


@dataclass(frozen=True)
class Reply:
    """
    Attributes:
        content: texts and drawn pictures in order. In a text, boxes are loc tokens. A picture has its plan, if the
            model made one.
        reason: why it ended: "stop", or "length" if it ran into `max_new_tokens` or the end of the context.
    """

    content: tuple[Text | Image[PIL.Image.Image], ...]
    reason: str = "stop"

    @property
    def text(self) -> str:
        """The whole text, without the boxes; a space where a picture is."""
        text = "".join(part.text if isinstance(part, Text) else PICTURE for part in self.content)
        return " ".join(filter(None, (strip_boxes(each).strip() for each in text.split(PICTURE))))

    @property
    def boxes(self) -> list[Box]:
        """All boxes in order; a box's label is the words before it."""
        return text_to_boxes(self._written)

    @property
    def images(self) -> list[PIL.Image.Image]:
        return [part.image for part in self.content if isinstance(part, Image)]

    @property
    def plans(self) -> list[list[Box]]:
        """Of each picture, what the model meant to draw where; nothing of a model that makes no plans."""
        return [text_to_boxes(part.plan) for part in self.content if isinstance(part, Image)]

    @property
    def frames(self) -> list[tuple[str, PIL.Image.Image]]:
        """Each picture with the text before it; text after the last picture belongs to that one."""
        frames: list[tuple[str, PIL.Image.Image]] = []
        text = ""
        for part in self.content:
            if isinstance(part, Image):
                frames.append((strip_boxes(text).strip(), part.image))
                text = ""
            else:
                text += part.text
        if frames and text.strip():
            frames[-1] = (f"{frames[-1][0]} {strip_boxes(text).strip()}".strip(), frames[-1][1])
        return frames

    @property
    def _written(self) -> str:
        return "".join(part.text for part in self.content if isinstance(part, Text))
