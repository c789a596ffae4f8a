"""The protocol of a model under evaluation: two batched methods of `seedx.inference.pipeline.Pipeline`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from PIL import Image

from seedx.inference.reply import Reply
from seedx.inference.settings import Drawing
from seedx.messages import Message

Answer = tuple[Reply, ...]  # the replies to one item: one for each turn, or for each variant of the turn


class Model(Protocol):
    def reply_batch(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        tiling: bool = True,
        drawing: Drawing = "auto",
        condition: bool | None = None,
        seeds: Sequence[int] | None = None,
        max_new_tokens: int = 512,
    ) -> Sequence[Reply]:
        """The next reply of each conversation.

        Args:
            tiling: read pictures as tiles; False: only their thumbnails.
            condition: use the last picture of the conversation as the condition of a drawn one; None: if the model was
                trained so.
        """
        ...

    def reconstruct_batch(
        self, pictures: Sequence[Image.Image], conditions: Sequence[Image.Image] | None, seeds: Sequence[int]
    ) -> Sequence[Image.Image]:
        """Each picture decoded from its features, and from its condition if there is one."""
        ...
