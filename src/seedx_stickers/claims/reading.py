"""How well a model reads: questions about pictures and boxes in them, of any size or of many tiles."""

from __future__ import annotations

from seedx.inference.pipeline import Pipeline
from seedx_stickers import scoring
from seedx_stickers.claims.claim import Measured, Sample
from seedx_stickers.claims.examples import SHOWN, batches, examples, many_tiles

LONGEST_ANSWER = 80  # tokens


def questions(model: Pipeline, seed: int, n: int, kind: str = "question", tiled: bool = False) -> Measured:
    """Accuracy: KIND over all questions, and KIND.TYPE for each type of question.

    Args:
        kind: "question" or "panorama".
        tiled: only pictures of many tiles.
    """
    measured = Measured()
    for batch in batches(examples(kind, seed, n, many_tiles if tiled else lambda item: True)):
        prompts = [(item.prompt, item.pictures) for item in batch]
        replies = model.chat_batch(prompts, drawing="forbid", max_new_tokens=LONGEST_ANSWER)
        for item, (prompt, pictures), reply in zip(batch, prompts, replies, strict=True):
            expected = item.expected
            right = scoring.question(reply.text, expected)["accuracy"]
            measured.add({kind: right, f"{kind}.{expected.type}": right})
            measured.samples.append(Sample(prompt, pictures[0], expected.text, reply.text))
    measured.samples = measured.samples[:SHOWN]
    return measured


def boxes(model: Pipeline, seed: int, n: int, tiled: bool = False) -> Measured:
    """The share of boxes with IoU of at least 0.5, and the mean IoU."""
    measured = Measured()
    for batch in batches(examples("box", seed, n, many_tiles if tiled else lambda item: True)):
        prompts = [(item.prompt, item.pictures) for item in batch]
        replies = model.chat_batch(prompts, drawing="forbid", max_new_tokens=LONGEST_ANSWER)
        for item, reply in zip(batch, replies, strict=True):
            scores = scoring.boxes(reply.boxes, item.expected)
            measured.add({"boxes": scores["acc@iou0.5"], "boxes.iou": scores["iou"]})
    return measured
