"""Our own conversations, and text without pictures."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from typing import Any

from seedx.data.formats.fields import SLOT, Fields
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError
from seedx.errors import SeedxError
from seedx.messages import Image, Message, Part, assistant, from_json


def messages(record: Record, rng: random.Random) -> list[Message]:
    """The JSON form of `seedx.messages`; its pictures are paths beside the file, or members of the tar's sample.

    {"messages": [
      {"role": "user", "content": [{"type": "image", "image": "cat.jpg"}, {"type": "text", "text": "Who is it?"}]},
      {"role": "assistant", "content": "A cat."}]}

    or, as LLaMA-Factory and chat templates have it, with the pictures in a list beside the messages, in the order of
    their places: "<image>" in a text, or a part without a picture. Where no text has a place, as in LLaMA-Factory's
    first files, they stand before the first question.

    {"messages": [{"role": "user", "content": "<image>Who is it?"}, {"role": "assistant", "content": "A cat."}],
     "images": ["cat.jpg"]}

    A picture may also be written as the chat API of OpenAI does, by https://platform.openai.com/docs/guides/images,
    with a path, a `data:` URI or a URL that `roots` allows: {"type": "image_url", "image_url": {"url": "cat.jpg"}}.
    """
    fields = Fields(record)
    try:
        conversation = from_json(_bound(fields))
    except SampleError:
        raise
    except SeedxError as error:
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
    return dataclasses.replace(fields.open(part.image), plan=part.plan) if isinstance(part, Image) else part


def _bound(fields: Fields) -> dict[str, Any]:
    """The record with each picture of its list at its place.

    Raises:
        SampleError: "bad format", there are more places than pictures, or fewer.
    """
    found, pictures = fields.find("messages"), fields.entries("images", optional=True)
    if not isinstance(found, list) or not all(isinstance(message, dict) for message in found):
        return fields.values  # `from_json` says what is wrong
    rest = iter(pictures)
    made = [message | _placed_content(message.get("content"), rest) for message in found]
    contents = [message["content"] for message in made if isinstance(message.get("content"), list)]
    shown = [part for content in contents for part in content if isinstance(part, dict) and part.get("type") == "image"]
    asked = next((message["content"] for message in made if message.get("role") == "user"), None)
    if not shown and isinstance(asked, list):
        asked[:0] = [{"type": "image", "image": picture} for picture in rest]
    places = sum(_is_place(part) for part in shown)
    left = len(list(rest))
    if places or left:
        raise fields.bad(f"{len(pictures)} images and {len(pictures) - left + places} places for them, such as {SLOT}")
    return {"messages": made}


def _placed_content(content: Any, pictures: Iterator[Any]) -> dict[str, Any]:
    parts = [content] if isinstance(content, str) else content
    return {"content": list(_placed(parts, pictures))} if isinstance(parts, list) else {}


def _placed(parts: list[Any], pictures: Iterator[Any]) -> Iterator[Any]:
    """The parts of a message, with a part for each picture; a place stays one when no picture is left."""
    for part in parts:
        text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else part
        if isinstance(text, str):
            for i, piece in enumerate(text.split(SLOT)):
                if i:
                    yield {"type": "image", "image": next(pictures, None)}
                if piece or text == "":
                    yield {"type": "text", "text": piece.strip("\n") if SLOT in text else piece}
        elif isinstance(part, dict) and part.get("type") == "image_url":
            named = part.get("image_url")
            yield {"type": "image", "image": named.get("url") if isinstance(named, dict) else named}
        elif _is_place(part):
            yield {"type": "image", "image": next(pictures, None)}
        else:
            yield part


def _is_place(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "image" and part.get("image") is None
