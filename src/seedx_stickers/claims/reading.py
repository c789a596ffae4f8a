"""How well a model reads: questions and boxes of pictures of many tiles, or of any."""

from __future__ import annotations

from seedx.inference.pipeline import Pipeline
from seedx_stickers import scoring
from seedx_stickers.claims.claim import Measured, Sample
from seedx_stickers.claims.examples import SHOWN, batches, examples, many_tiles

LONGEST_ANSWER = 80  # tokens


def questions(model: Pipeline, seed: int, n: int, kind: str = "question", tiled: bool = False) -> Measured:
    """The share of right answers, under the kind and under KIND.TYPE of the question.

    Args:
        kind: "question" or "panorama".
        tiled: ask about pictures of many tiles only.
    """
    measured = Measured()
    for batch in batches(examples(kind, seed, n, many_tiles if tiled else lambda item: True)):
        prompts = [(item.prompt, item.pictures) for item in batch]
        replies = model.chat_batch(prompts, drawing="forbid", max_new_tokens=LONGEST_ANSWER)
        for item, (asked, shown), reply in zip(batch, prompts, replies, strict=True):
            expected = item.expected
            right = scoring.question(reply.text, expected)["accuracy"]
            measured.add({kind: right, f"{kind}.{expected.type}": right})
            measured.samples.append(Sample(asked, shown[0], expected.text, reply.text))
    measured.samples = measured.samples[:SHOWN]
    return measured


def boxes(model: Pipeline, seed: int, n: int, tiled: bool = False) -> Measured:
    """The share of boxes at IoU 0.5 or more, and the mean IoU."""
    measured = Measured()
    for batch in batches(examples("box", seed, n, many_tiles if tiled else lambda item: True)):
        prompts = [(item.prompt, item.pictures) for item in batch]
        replies = model.chat_batch(prompts, drawing="forbid", max_new_tokens=LONGEST_ANSWER)
        for item, reply in zip(batch, replies, strict=True):
            scores = scoring.boxes(reply.boxes, item.expected)
            measured.add({"boxes": scores["acc50"], "boxes.iou": scores["iou"]})
    return measured
