"""Stories of as many pictures as asked for: one that the model ends early is gone on with from its last picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import PIL.Image

from seedx.inference.reply import Reply
from seedx.messages import Image, Message, user

GO_ON = "{it} go on with this story in {n} pictures"  # what is said to have more of one

Frame = tuple[str, PIL.Image.Image]  # what is told, and its picture


def stories(
    reply_batch: Callable[..., Sequence[Reply]],
    openings: Sequence[Sequence[Message]],
    frames: Sequence[int],
    seeds: Sequence[int] | None = None,
    **options: Any,
) -> list[list[Frame]]:
    """A story for each opening, together.

    Args:
        reply_batch: `Pipeline.reply_batch`; the options are its.
        frames: how many pictures each has; fewer where the model comes to no end within `max_new_tokens`.
        seeds: one a story, in place of the option `seed`.
    """
    told: list[list[Frame]] = [[] for _ in openings]
    asked = dict(enumerate(openings))
    while asked:
        chosen = None if seeds is None else [seeds[index] for index in asked]
        answers = reply_batch(list(asked.values()), drawing="force", condition=False, seeds=chosen, **options)
        again: dict[int, Sequence[Message]] = {}
        for index, reply in zip(asked, answers, strict=True):
            told[index] += reply.frames
            missing = frames[index] - len(told[index])
            if missing > 0 and reply.frames and reply.reason != "length":
                sentence, picture = told[index][-1]
                again[index] = [user(Image(picture), GO_ON.format(n=missing, it=sentence))]
        asked = again
    return [each[:most] for each, most in zip(told, frames, strict=True)]
