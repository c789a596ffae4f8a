"""The scores of an answer, one function for each ability: `scoring.py` applied to replies.

A score is a share in 0..1 or a PSNR in dB; None means that there is nothing to score. The first score of a function is
the main one. An answer may have fewer replies than the item has turns, or lack pictures: these count as wrong.
"""

from __future__ import annotations

import dataclasses

from PIL import Image

from seedx.inference.reply import Reply
from seedx_stickers import scoring
from seedx_stickers.evaluation.item import Item
from seedx_stickers.evaluation.model import Answer
from seedx_stickers.judge import Judge
from seedx_stickers.scenes import TILE, render
from seedx_stickers.scoring import Values
from seedx_stickers.tasks import Expected

SILENCE = Reply(())
MODALITIES = ("words", "boxes", "picture")  # of a reply


def question(judge: Judge, item: Item, answer: Answer) -> Values:
    """Accuracy; with a second reply, made from the thumbnail alone, its accuracy as "thumbnail"."""
    values, *thumbnail = (scoring.question(reply.text, item.expected) for reply in answer)
    by_size = _by_size(item, values["accuracy"])
    return values | by_size | {"thumbnail": thumbnail[0]["accuracy"] if thumbnail else None}


def tiles(judge: Judge, item: Item, answer: Answer) -> Values:
    """Accuracy from tiles and from the thumbnail alone, and their difference."""
    values = question(judge, item, answer)
    good, poor = values["accuracy"], values.get("thumbnail")
    assert good is not None
    return {"tiled": good, "thumbnail": poor, "gain": None if poor is None else good - poor}


def tiles_by_type(judge: Judge, item: Item, answer: Answer) -> Values:
    values = tiles(judge, item, answer)
    return values | {item.expected.type: values["tiled"]}


def boxes(judge: Judge, item: Item, answer: Answer) -> Values:
    values = scoring.boxes(answer[0].boxes, item.expected)
    return values | _by_size(item, values["acc@iou0.5"])


def draw(judge: Judge, item: Item, answer: Answer) -> Values:
    values = together(judge, item, answer)
    return values | {"wish": values["all_objects"] if item.example.kind == "wish" else None}


def together(judge: Judge, item: Item, answer: Answer) -> Values:
    return scoring.drawing(judge.look(picture_of(answer[0])), item.expected)


def edit(judge: Judge, item: Item, answer: Answer) -> Values:
    return _edit(judge, answer[0], item.expected)


def try_on(judge: Judge, item: Item, answer: Answer) -> Values:
    values = _edit(judge, answer[0], item.expected)
    return {name: values[name] for name in ("done", "psnr_outside")}


def second_edit(judge: Judge, item: Item, answer: Answer) -> Values:
    """The picture after the second edit compared with the one before the first; "first": whether the first was done."""
    first, second = (turn for turn, expected in enumerate(item.example.expected) if expected.target)
    one, other = item.example.expected[first], item.example.expected[second]
    both = dataclasses.replace(other, source=one.source, touched=one.touched + other.touched)
    values = _edit(judge, _reply(answer, second), both)
    return values | {"first": _edit(judge, _reply(answer, first), one)["done"]}


def story(judge: Judge, item: Item, answer: Answer) -> Values:
    frames = answer[0].frames
    return scoring.story([text for text, _ in frames], [judge.look(picture) for _, picture in frames], item.expected)


def slide(judge: Judge, item: Item, answer: Answer) -> Values:
    (reply,) = answer
    return scoring.slide(reply, item.expected, judge.look(reply.images[0]) if reply.images else None)


def reconstruct(judge: Judge, item: Item, answer: Answer) -> Values:
    """Without a condition and with the picture itself as one."""
    plain, conditioned = picture_of(answer[0]), picture_of(answer[-1])
    low, high = scoring.psnr(plain, item.target), scoring.psnr(conditioned, item.target)
    assert low is not None and high is not None
    return {
        "objects": scoring.objects(judge.look(plain), item.target),
        "objects_condition": scoring.objects(judge.look(conditioned), item.target),
        "psnr": low,
        "psnr_condition": high,
        "gain": high - low,
    }


def modality(judge: Judge, item: Item, answer: Answer) -> Values:
    """Modality accuracy: the share of turns answered in the expected modality, words, boxes or a picture."""
    right = []
    for turn, expected in enumerate(item.example.expected):
        wanted = "picture" if expected.target else "boxes" if expected.boxes else "words"
        right.append((wanted, float(modality_of(_reply(answer, turn)) == wanted)))
    by_modality = {name: _mean([value for wanted, value in right if wanted == name]) for name in MODALITIES}
    return {"accuracy": _mean([value for _, value in right]), **by_modality}


def modality_of(reply: Reply) -> str:
    return "picture" if reply.images else "boxes" if reply.boxes else "words" if reply.text else "nothing"


def judge_accuracy(judge: Judge, item: Item, answer: Answer) -> Values:
    """The judge itself, on a render of the target."""
    return scoring.judgement(judge.look(render(item.target)), item.target)


def picture_of(reply: Reply) -> Image.Image:
    """The last picture; a black one if there is none."""
    return reply.images[-1] if reply.images else Image.new("RGB", (96, 96))


def _edit(judge: Judge, reply: Reply, expected: Expected) -> Values:
    picture = picture_of(reply)
    return scoring.edit(judge.look(picture), picture, expected)


def _reply(answer: Answer, turn: int) -> Reply:
    return answer[turn] if turn < len(answer) else SILENCE


def _by_size(item: Item, value: float | None) -> Values:
    """A score as "one_tile" or "other_sizes", by whether all pictures have the size of one tile."""
    one = all((scene.width, scene.height) == (TILE, TILE) for scene in item.example.scenes)
    return {"one_tile": value if one else None, "other_sizes": None if one else value}


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
