"""Our own conversations, and text without pictures."""

from __future__ import annotations

import dataclasses
import random

from seedx.data.formats.fields import Fields
from seedx.data.record import Record
from seedx.messages import Box, Image, Message, Part, assistant, from_json


def messages(record: Record, rng: random.Random) -> list[Message]:
    """The JSON form of `seedx.messages`; its pictures are paths beside the file, or members of the tar's sample.

    {"messages": [
      {"role": "user", "content": [{"type": "image", "image": "cat.jpg"}, {"type": "text", "text": "Who is it?"}]},
      {"role": "assistant", "content": "A cat."}]}
    """
    fields = Fields(record)
    try:
        conversation = from_json(fields.values)
    except (ValueError, TypeError, AttributeError) as error:
        raise fields.bad(str(error)) from error
    if not any(message.role == "assistant" and message.content for message in conversation):
        raise fields.bad("there is no message of the assistant to train on")
    return [
        dataclasses.replace(message, content=tuple(_opened(part, fields) for part in message.content))
        for message in conversation
    ]


def text(record: Record, rng: random.Random, *, field: str = "", min_chars: int = 1) -> list[Message]:
    """Text alone, all of it supervised: "text" as in C4, The Pile or FineWeb, or a tar's `txt` files.

    Args:
        field: where the text is, if elsewhere.
        min_chars: shorter ones are filtered.
    """
    fields = Fields(record)
    words = fields.text(field) if field else fields.text("text", "content", "txt")
    if len(words) < min_chars:
        raise fields.filtered(f"{len(words)} characters")
    return [assistant(words)]


def _opened(part: Part, fields: Fields) -> Part:
    if isinstance(part, Box) and not isinstance(part.label, str):
        raise fields.bad(f"the label of a box is a text, not {part.label!r}")
    return fields.open(part.image) if isinstance(part, Image) else part
