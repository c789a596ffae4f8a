"""Words and where in the picture they are: grounded captions, referring expressions, referential dialogue."""

from __future__ import annotations

import json
import random
from typing import Any, Literal

from seedx.data.formats import phrases
from seedx.data.formats.boxes import Corners, Frame, fractions, frame, labelled
from seedx.data.formats.fields import PICTURES, Fields
from seedx.data.record import Record
from seedx.errors import shorten
from seedx.hints import Ratio
from seedx.messages import Box, Message, Part, Text, assistant, system, user

_START, _END = "<ph_st>", "<ph_ed>"
_TAIL = " .,;:!?"


def grit(
    record: Record,
    rng: random.Random,
    *,
    draw: Ratio = 0.0,
    spans: Literal["ref_exps", "noun_chunks"] = "ref_exps",
    min_score: float = 0.65,
) -> list[Message]:
    """GRIT, grounded captions of COYO-700M: every phrase of the caption is followed by its boxes.

    By https://huggingface.co/datasets/zzliang/GRIT: caption, width, height, clip_similarity_vitb32, and the lists
    noun_chunks and ref_exps of [start, end, x_min, y_min, x_max, y_max, confidence], where start and end are characters
    of the caption and the corners fractions of the picture.

    Phrases may lie within one another. The longest are kept first, and what overlaps them is left out:

        "a cat on a mat", ref_exps a cat on a mat (0-14), a mat (9-14)  ->  a cat on a mat <box>

    Args:
        draw: the share of records that become text with boxes -> image; the others become image -> text with boxes.
        min_score: confidence that a box needs; 0.65 is the data set's own bound.
    """
    fields = Fields(record)
    caption = fields.need("caption", "txt")
    if not isinstance(caption, str):
        raise fields.bad(f"the caption is a text, not {caption!r}")
    picture = fields.picture(*PICTURES)
    turn = frame(picture, fields).turn
    phrases_and_boxes = _apart(_spans(fields, spans, caption, min_score, Frame(turn=turn)))
    if not phrases_and_boxes:
        raise fields.filtered(f"no box of {spans} reaches {min_score:g}")
    words = _woven(caption, phrases_and_boxes)
    return [system(*words), assistant(picture)] if rng.random() < draw else [system(picture), assistant(*words)]


def referring(
    record: Record,
    rng: random.Random,
    *,
    locate: Ratio = 0.5,
    bbox: Literal["xywh", "xyxy"] = "xywh",
) -> list[Message]:
    """RefCOCO, RefCOCO+, RefCOCOg and Visual Genome's regions: a phrase and the box that it means.

    The phrase is `expression` (Shikra's REC_ref3_train.jsonl, with img_path, width, height and bbox "xyxy"),
    `sentences` of {"raw", "sent"} (https://huggingface.co/datasets/jxu124/refcoco), `answer`
    (https://huggingface.co/datasets/lmms-lab/RefCOCO) or `phrase` (Visual Genome); the box is `bbox` in pixels, or that
    of COCO's own annotation where a record has it (`raw_anns`, jxu124's).

    Args:
        locate: the share of records that ask for the box of the phrase; the others ask what is within the box.
        bbox: COCO's corner and size in pixels, or two corners in pixels.
    """
    fields = Fields(record)
    said = fields.need("expression", "sentences", "answer", "phrase", "expressions")
    phrase = _said(rng.choice(said) if isinstance(said, list) else said, fields)
    picture = fields.picture(*PICTURES)
    coco = _annotated(fields)
    corners = coco or fields.entries("bbox")
    box = Box(fractions(corners, fields, frame(picture, fields), coco=bool(coco) or bbox == "xywh"))
    if rng.random() < locate:
        return [user(picture, phrases.locate(rng, phrase)), assistant(Box(box.box, phrase))]
    return [user(picture, "What is within ", box, "?"), assistant(phrase)]


def shikra(record: Record, rng: random.Random) -> list[Message]:
    """Shikra's referential dialogue and grounded captions: phrases in <ph_st>...<ph_ed>, boxes beside the text.

    Files by https://github.com/shikras/shikra/blob/main/docs/data.md; GPT4GEN_BoxCoT_train.jsonl and
    GPT4GEN_RD_BoxCoT_train.jsonl have img_path, width, height, question, cot_with_ans, answer, boxes (corners in
    pixels), question_boxes_seq and answer_boxes_seq; CWB_flickr30k_train.jsonl has image_id, sentence, boxes and
    boxes_seq. Each phrase takes the next entry of its sequence, a list of numbers of boxes:

        "<ph_st>The man<ph_ed> waves.", [[0]], boxes [[10, 20, 50, 90]]   ->   The man <box> waves.
    """
    fields = Fields(record)
    by_number = fields.find(*PICTURES) is None
    picture = fields.open(f"{fields.need('image_id')}.jpg") if by_number else fields.picture(*PICTURES)
    place = frame(picture, fields)
    boxes = [fractions(box, fields, place) for box in fields.entries("boxes", optional=True)]
    if fields.find("sentence") is not None:
        return [
            user(picture, phrases.describe(rng), " Give the boxes of what you name."),
            assistant(*_marked(fields.text("sentence"), fields.entries("boxes_seq"), boxes, fields)),
        ]
    question = _marked(fields.text("question"), fields.entries("question_boxes_seq", optional=True), boxes, fields)
    answer = _marked(
        fields.text("cot_with_ans", "answer"), fields.entries("answer_boxes_seq", optional=True), boxes, fields
    )
    return [user(picture, *question), assistant(*answer)]


_Span = tuple[int, int, list[Corners]]


def _spans(fields: Fields, name: str, caption: str, min_score: float, place: Frame) -> list[_Span]:
    """Places in the caption and their boxes; boxes of the same place together."""
    found: dict[tuple[int, int], list[Corners]] = {}
    for span in fields.entries(name):
        try:
            start, end, x0, y0, x1, y1, score = (float(value) for value in span)
        except (TypeError, ValueError, OverflowError) as error:
            raise fields.bad(f"{name} has lists of seven numbers, not {shorten(span)}") from error
        if not 0 <= start < end <= len(caption):
            raise fields.bad(f"{name} has the characters {start:g} to {end:g} of a caption of {len(caption)}")
        if score >= min_score:
            found.setdefault((int(start), int(end)), []).append(fractions((x0, y0, x1, y1), fields, place))
    return [(start, end, boxes) for (start, end), boxes in found.items()]


def _apart(spans: list[_Span]) -> list[_Span]:
    """Those that do not overlap, the longest first, in the order of the text."""
    kept: list[_Span] = []
    for span in sorted(spans, key=lambda s: (s[0] - s[1], s[0])):
        if all(span[1] <= other[0] or span[0] >= other[1] for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda s: s[0])


def _woven(caption: str, spans: list[_Span]) -> list[Part]:
    parts: list[Part] = []
    at = 0
    for start, end, boxes in spans:
        parts += _text(caption[at:start])
        parts += labelled(caption[start:end].strip(), boxes)
        at = end
    return parts + _text(caption[at:])


def _annotated(fields: Fields) -> list[float] | None:
    """The box of `raw_anns`, COCO's annotation as JSON; None if there is none."""
    written = fields.find("raw_anns")
    try:
        annotation = json.loads(written) if isinstance(written, str) else None
    except (ValueError, RecursionError) as error:
        raise fields.bad(f"raw_anns is no JSON: {error}") from error
    return annotation.get("bbox") if isinstance(annotation, dict) else None


def _said(value: Any, fields: Fields) -> str:
    phrase = (value.get("raw") or value.get("sent")) if isinstance(value, dict) else value
    if not isinstance(phrase, str) or not phrase.strip():
        raise fields.bad(f"the phrase is a text that is not empty, not {value!r}")
    return phrase.strip().rstrip(_TAIL)


def _marked(text: str, sequence: list[Any], boxes: list[Corners], fields: Fields) -> list[Part]:
    before, *marked = text.split(_START)
    if len(marked) != len(sequence) or any(_END not in piece for piece in marked):
        raise fields.bad(f"{len(marked)} phrases and {len(sequence)} entries of boxes: {shorten(text)}")
    parts = _text(before)
    for piece, numbers in zip(marked, sequence, strict=True):
        phrase, _, after = piece.partition(_END)
        try:
            parts += labelled(phrase.strip(), [boxes[_counted(number)] for number in numbers])
        except (IndexError, TypeError) as error:
            raise fields.bad(f"{shorten(numbers)} does not name boxes among {len(boxes)}") from error
        parts += _text(after)
    return parts


def _counted(number: int) -> int:
    if number < 0:
        raise IndexError
    return number


def _text(text: str) -> list[Part]:
    return [Text(text)] if text else []
