"""Questions and answers about pictures."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Literal

from seedx.data.formats.boxes import Style, parse
from seedx.data.formats.fields import PICTURES, SLOT, Fields
from seedx.data.record import Record
from seedx.errors import shorten
from seedx.messages import Image, Message, Part, Role, assistant, system, user

Place = Literal["start", "end", "random"]

_ROLES: dict[str, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}
_MANY = ("images", *PICTURES)  # before PICTURES: a record with both means the list


def llava(record: Record, rng: random.Random, *, boxes: Style = "none", place: Place = "start") -> list[Message]:
    """LLaVA's conversations, and all that copy them (LLaVA-OneVision, ShareGPT4V, Visual Genome and GQA within them).

    By https://github.com/haotian-liu/LLaVA/blob/main/docs/Finetune_Custom_Data.md: id, image (or none, for text alone),
    conversations of {"from": "human" or "gpt", "value": a text with <image> where the picture stands}. The release's
    own layout, {"image": ..., "data": [question, answer, question, answer, ...]}, is read too, and The Cauldron's,
    images and texts of {"user", "assistant", "source"} (https://huggingface.co/datasets/HuggingFaceM4/the_cauldron). So
    are Alpaca's records as LLaMA-Factory has them: instruction, input (below it), output, and if there are any, system,
    history (pairs of a question and an answer before it) and images.

    Args:
        boxes: how boxes are written in the texts (see `boxes`); "none" leaves them as text. Loc tokens always work.
        place: where a picture without an <image> stands in the first question; the release chooses at random.
    """
    fields = Fields(record)
    turns = _turns(fields)
    pictures = fields.pictures(*_MANY)
    slots = sum(text.count(SLOT) for _, text in turns)
    if not slots and pictures:
        turns = _placed(turns, len(pictures), place if place != "random" else rng.choice(("start", "end")))
    elif slots != len(pictures):
        raise fields.bad(f"{slots} {SLOT} in the texts and {len(pictures)} pictures")
    rest: Iterator[Image] = iter(pictures)
    return [Message(role, tuple(_content(text, rest, boxes, fields))) for role, text in turns]


def llavar(record: Record, rng: random.Random, *, instruct: bool = True) -> list[Message]:
    """LLaVAR, text-rich pictures, and other OCR data in LLaVA's layout.

    By https://huggingface.co/datasets/SALT-NLP/LLaVAR: chat_llavar.json (what is written in the picture) and
    llava_instruct_150k_llavar_20k.json (questions about it), with id, image and conversations as in `llava`.

    Args:
        instruct: False writes the picture and the first answer alone, as a document without a question.
    """
    conversation = llava(record, rng)
    if instruct:
        return conversation
    pictures = [part for message in conversation for part in message.content if isinstance(part, Image)]
    answer = next(message for message in conversation if message.role == "assistant")
    return [system(*pictures), answer]


def vqa(record: Record, rng: random.Random) -> list[Message]:
    """One question about one picture with its answers: VQAv2, OK-VQA, TextVQA, GQA, AI2D and their kind.

    question; the answer is `multiple_choice_answer` or `answer`, or the most frequent of `answers` (texts, or
    {"answer": text} as in https://visualqa.org/download.html); `choices` or `options` are listed by letters if there
    are any, and `answer` may then be the number of the right one, from 0.
    """
    fields = Fields(record)
    question, picture = fields.text("question").replace(SLOT, "", 1).strip(), fields.picture(*PICTURES)
    if fields.find("choices", "options") is None:
        return [user(picture, question), assistant(_agreed(fields))]
    choices = fields.entries("choices", "options")
    letters = [f"{chr(ord('A') + i)}. {choice}" for i, choice in enumerate(choices)]
    answer = fields.need("answer", "multiple_choice_answer")
    if isinstance(answer, int) and 0 <= answer < len(choices):
        right = answer
    elif answer in choices:
        right = choices.index(answer)
    else:
        raise fields.bad(f"the answer {shorten(answer)} is none of the choices {shorten(choices)}")
    return [user(picture, "\n".join([question, *letters])), assistant(letters[right])]


def _turns(fields: Fields) -> list[tuple[Role, str]]:
    """Roles and texts, checked: an optional system text, then questions and answers in turn."""
    turns: list[tuple[Any, Any]]
    if fields.find("texts") is not None:
        said = [turn if isinstance(turn, dict) else {} for turn in fields.entries("texts")]
        turns = [(role, turn.get(role)) for turn in said for role in ("user", "assistant")]
    elif fields.find("conversations", "data") is None and fields.find("instruction") is not None:
        turns = _alpaca(fields)
    elif fields.find("conversations") is None and fields.find("data") is not None:
        turns = [(("human", "gpt")[i % 2], text) for i, text in enumerate(fields.entries("data"))]
    else:
        said = [turn if isinstance(turn, dict) else {} for turn in fields.entries("conversations", "texts", "data")]
        turns = [(turn.get("from"), turn.get("value")) for turn in said]
    found: list[tuple[Role, str]] = []
    for name, text in turns:
        if not isinstance(name, str) or name not in _ROLES or not isinstance(text, str) or not text.strip():
            raise fields.bad(f"a turn is words by one of {', '.join(_ROLES)}, not {shorten(text)} by {shorten(name)}")
        found.append((_ROLES[name], text))
    talk = found[1:] if found and found[0][0] == "system" else found
    if len(talk) < 2 or any(role != ("user", "assistant")[i % 2] for i, (role, _) in enumerate(talk)):
        raise fields.bad(f"questions and answers do not alternate: {', '.join(role for role, _ in found)}")
    return found


def _alpaca(fields: Fields) -> list[tuple[Any, Any]]:
    before = [pair if isinstance(pair, (list, tuple)) else [pair] for pair in fields.entries("history", optional=True)]
    asked = [text for name in ("instruction", "input") if isinstance(text := fields.find(name), str)]
    turns: list[tuple[Any, Any]] = [("system", fields.find("system"))] if fields.find("system") else []
    turns += [(("user", "assistant")[i % 2], text) for pair in before for i, text in enumerate(pair)]
    return [*turns, ("user", "\n".join(asked)), ("assistant", fields.find("output"))]


def _placed(turns: list[tuple[Role, str]], count: int, place: str) -> list[tuple[Role, str]]:
    first = next(i for i, (role, _) in enumerate(turns) if role == "user")
    slots, text = SLOT * count, turns[first][1]
    return [*turns[:first], ("user", slots + text if place == "start" else text + slots), *turns[first + 1 :]]


def _content(text: str, pictures: Iterator[Image], boxes: Style, fields: Fields) -> list[Part]:
    """The line break beside an <image> belongs to the slot, not to the question."""
    parts: list[Part] = []
    for i, piece in enumerate(text.strip().split(SLOT)):
        if i:
            parts.append(next(pictures))
        parts += parse(piece.strip("\n"), boxes, fields)
    return parts


def _agreed(fields: Fields) -> str:
    answer = fields.find("multiple_choice_answer", "answer")
    if answer is None:
        answers = [one.get("answer") if isinstance(one, dict) else one for one in fields.entries("answers")]
        answer = max(answers, key=answers.count)  # the first of the most frequent
    if not isinstance(answer, str) or not answer.strip():
        raise fields.bad(f"the answer is a text that is not empty, not {shorten(answer)}")
    return answer.strip()
