"""An example as it is presented to a model: with rendered pictures, and the right answer as replies."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from PIL import Image

from seedx.inference.reply import Reply
from seedx.messages import Box, Message, Text, assistant, map_images
from seedx.messages import Image as Picture
from seedx.tokens import boxes_to_text
from seedx_stickers.evaluation.model import Answer
from seedx_stickers.evaluation.shifts import UNSHIFTED, Shift
from seedx_stickers.scenes import Scene, render
from seedx_stickers.tasks import Example, Expected


@dataclass(frozen=True)
class Item:
    """
    Attributes:
        seed: for the pictures that a model draws.
        shift: applied to the pictures that a model reads.
    """

    example: Example
    seed: int
    shift: Shift = UNSHIFTED

    @cached_property
    def turns(self) -> tuple[Message[Image.Image], ...]:
        """The user's messages, with rendered pictures."""
        rng = random.Random(self.seed)
        prompts = [message for message in self.example.messages if message.role == "user"]
        return tuple(map_images(prompts, lambda scene: self.shift.picture(rng, scene.render())))

    @property
    def prompt(self) -> str:
        """The text of the first turn."""
        return "".join(part.text for part in self.turns[0].content if isinstance(part, Text))

    @property
    def pictures(self) -> list[Image.Image]:
        """The pictures of the first turn."""
        return [part.image for part in self.turns[0].content if isinstance(part, Picture)]

    @property
    def expected(self) -> Expected:
        """The expectation of the first answer."""
        return self.example.expected[0]

    @property
    def target(self) -> Scene:
        """The scene to draw, or the scene that is read if none is drawn."""
        return self.expected.target or self.example.scenes[0]

    @cached_property
    def truth(self) -> Answer:
        """The right answer: a reply for each turn."""
        return tuple(_as_reply(message) for message in self.example.messages if message.role == "assistant")

    def conversation(self, replies: Sequence[Reply] = ()) -> list[Message[Image.Image]]:
        """The turns up to the one after these replies, interleaved with them."""
        messages: list[Message[Image.Image]] = []
        for turn, reply in zip(self.turns, replies, strict=False):
            messages += [turn, assistant(*(reply.content or ("",)))]
        return [*messages, self.turns[len(replies)]]


def _as_reply(message: Message[Scene]) -> Reply:
    """An assistant's message as the reply of a model."""
    boxes = [part for part in message.content if isinstance(part, Box)]
    if boxes:
        return Reply((Text(boxes_to_text(boxes)),))
    return Reply(tuple(Picture(render(p.image)) if isinstance(p, Picture) else p for p in message.content))  # type: ignore[misc]
