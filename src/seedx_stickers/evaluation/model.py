"""What evaluation asks of a model: two batched verbs of `pipeline.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from PIL import Image

from seedx.inference.reply import Reply
from seedx.inference.settings import Drawing
from seedx.messages import Message

Answer = tuple[Reply, ...]  # what came back for one item: a reply to each turn, or to each way of asking


class Model(Protocol):
    def reply_batch(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        tiling: bool = True,
        drawing: Drawing = "auto",
        condition: bool = True,
        seeds: Sequence[int] | None = None,
        max_new_tokens: int = 512,
    ) -> Sequence[Reply]:
        """What comes next in each conversation.

        Without tiling, a picture is its thumbnail alone; with a condition, one that is drawn keeps to the last one.
        """
        ...

    def reconstruct_batch(
        self, pictures: Sequence[Image.Image], conditions: Sequence[Image.Image] | None, seeds: Sequence[int]
    ) -> Sequence[Image.Image]:
        """Each picture as its features tell it, and with a condition, with the detail of that one."""
        ...
