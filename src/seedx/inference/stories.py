"""Stories of a given number of images: one that ends early is continued from its last image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import PIL.Image

from seedx.inference.reply import Reply
from seedx.messages import Message
from seedx.variants import VARIANTS, VerbPrompt

Frame = tuple[str, PIL.Image.Image]  # a sentence and its image


def stories(
    reply_batch: Callable[..., Sequence[Reply]],
    openings: Sequence[Sequence[Message]],
    frames: Sequence[int],
    seeds: Sequence[int] | None = None,
    more: VerbPrompt = VARIANTS["tiny"].story_more,
    **options: Any,
) -> list[list[Frame]]:
    """A story for each opening, together.

    Args:
        reply_batch: `Pipeline.reply_batch`, which takes the options.
        frames: how many images each has; fewer where a reply does not end within `max_new_tokens`.
        seeds: one a story, in place of the option `seed`.
        more: asks for the rest of a story, {it} being its last sentence.
    """
    options = {"drawing": "force"} | options
    told: list[list[Frame]] = [[] for _ in openings]
    asked = dict(enumerate(openings))
    while asked:
        chosen = None if seeds is None else [seeds[index] for index in asked]
        replies = reply_batch(list(asked.values()), condition=False, seeds=chosen, **options)
        unfinished: dict[int, Sequence[Message]] = {}
        for index, reply in zip(asked, replies, strict=True):
            told[index] += reply.frames
            missing = frames[index] - len(told[index])
            if missing > 0 and reply.frames and reply.reason != "length":
                sentence, picture = told[index][-1]
                unfinished[index] = [more.message(sentence, [picture], missing)]
        asked = unfinished
    return [each[:most] for each, most in zip(told, frames, strict=True)]
