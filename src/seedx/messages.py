"""The one form of a conversation: in training, inference, files and over HTTP.

A conversation is a list of `Message`; its JSON form is the one that chat APIs and Hugging Face chat templates use:

    {"messages": [
      {"role": "user", "content": [
        {"type": "image", "image": "scene.png"}, {"type": "text", "text": "Where is the cat?"}]},
      {"role": "assistant", "content": [{"type": "box", "label": "cat", "box": [0.1, 0.2, 0.4, 0.6]}]}]}

A user's image is read. An assistant's image is drawn: a target in training, an output in inference. In the turns after
it, it is read like any other image.

Messages are generic in what an image is at each stage; `map_images` takes them from one stage to the next:

    Message                    images.Source: a path, bytes, a file, a PIL picture or a scene to render
    Message[Picture]           tiling.Picture: opened by images.open_image (PIL) or data.pictures.decode (uint8 tensor)
    Message[Picture | Tiles]   tiling.Tiles: pixels or features of tiles that were made before
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal

from typing_extensions import TypeVar

from seedx.errors import SeedxError, shorten

if TYPE_CHECKING:  # only the name: Pillow is not loaded for messages of text
    from seedx.images import Source

Role = Literal["user", "assistant", "system"]
P = TypeVar("P", covariant=True, default="Source")  # the picture; `Message` alone is `Message[Source]`
Q = TypeVar("Q")


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Image(Generic[P]):
    """A picture, at one of the stages above.

    Attributes:
        grids: the only grids that it is cut into when it is read, such as "1x1"; None: those of the model.
        plan: of one that is drawn: what it shows where, as boxes in loc tokens. A model whose vocabulary has plans
            writes it before the image; for others it means nothing.
    """

    image: P
    grids: tuple[str, ...] | None = None
    plan: str = ""


@dataclass(frozen=True)
class Box:
    """Corners (x0, y0, x1, y1) as fractions of the image, origin top left."""

    box: tuple[float, float, float, float]
    label: str = ""


Part = Text | Image[P] | Box


@dataclass(frozen=True)
class Message(Generic[P]):
    role: Role
    content: tuple[Part[P], ...]


def user(*parts: Part[P] | str) -> Message[P]:
    """`user(Image(picture), "What is this?")`."""
    return Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def assistant(*parts: Part[P] | str) -> Message[P]:
    return Message("assistant", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def system(*parts: Part[P] | str) -> Message[P]:
    """Context without a template that is never supervised: instructions, or what a pre-training document gives."""
    return Message("system", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def images(messages: Iterable[Message[P]]) -> list[Image[P]]:
    """Every picture in order."""
    return [part for message in messages for part in message.content if isinstance(part, Image)]


def map_images(messages: Iterable[Message[P]], function: Callable[[P], Q]) -> list[Message[Q]]:
    """The messages with `function(picture)` in place of every picture: `map_images(messages, open_image)`."""

    def mapped(part: Part[P]) -> Part[Q]:
        return Image(function(part.image), part.grids, part.plan) if isinstance(part, Image) else part

    return [Message(message.role, tuple(mapped(part) for part in message.content)) for message in messages]


def pictures_first(parts: Sequence[Part[P]]) -> tuple[Part[P], ...]:
    """What a user says, with the pictures that follow all of the text before it, as `chat` asks.

    "What is this?", picture           -> picture, "What is this?"    the usual form of OpenAI's clients
    "Is this", picture, "a cat?"       -> the same: here the order says something
    """
    is_picture = [isinstance(part, Image) for part in parts]
    follow = is_picture == sorted(is_picture)
    return tuple(sorted(parts, key=lambda part: not isinstance(part, Image))) if follow else tuple(parts)


def merge_texts(parts: Iterable[Text | Q]) -> list[Text | Q]:
    """The parts with texts that follow each other joined: "a", "b", picture, "c" -> "ab", picture, "c"."""
    merged: list[Text | Q] = []
    for part in parts:
        if isinstance(part, Text) and merged and isinstance(last := merged[-1], Text):
            merged[-1] = Text(last.text + part.text)
        else:
            merged.append(part)
    return merged


def to_json(messages: Iterable[Message]) -> dict[str, Any]:
    return {"messages": [{"role": m.role, "content": [_part_to_json(part) for part in m.content]} for m in messages]}


def from_json(record: dict[str, Any]) -> list[Message]:
    """Read the JSON form. Content may also be one string.

    Raises:
        SeedxError: a field is missing or of an unknown kind; the message says which.
    """
    if not isinstance(record, dict) or not isinstance(record.get("messages"), list):
        raise SeedxError('a conversation is an object with a list "messages"')
    return [_message_from_json(message) for message in record["messages"]]


def _message_from_json(message: dict[str, Any]) -> Message:
    if not isinstance(message, dict):
        raise SeedxError(f'a message is an object with "role" and "content", not {shorten(message)}')
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant", "system"):
        raise SeedxError(f'the role of a message is "user", "assistant" or "system", not {shorten(role)}')
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise SeedxError(f"the content of a message is a string or a list of parts, not {type(content).__name__}")
    return Message(role, tuple(_part_from_json(part) for part in content))


def _part_from_json(part: dict[str, Any]) -> Part:
    match part:
        case {"type": "text", "text": str(text)}:
            return Text(text)
        case {"type": "image", "image": image}:
            plan = part.get("plan", "")
            if not isinstance(plan, str):
                raise SeedxError(f"the plan of an image is a text, not {shorten(plan)}")
            return Image(image, plan=plan)
        case {"type": "box", "box": [x0, y0, x1, y1]}:
            label = part.get("label", "")
            if not isinstance(label, str):
                raise SeedxError(f"the label of a box is a text, not {shorten(label)}")
            try:
                return Box((float(x0), float(y0), float(x1), float(y1)), label)
            except (TypeError, ValueError, OverflowError) as error:  # the last: a whole number of 400 digits
                raise SeedxError(f"a box is four numbers, not {shorten(part['box'])}") from error
    raise SeedxError(
        f'a part is {{"type": "text"|"image"|"box", ...}} with the field of that name, not {shorten(part)}'
    )


def _part_to_json(part: Part) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Image):
        return {"type": "image", "image": part.image} | ({"plan": part.plan} if part.plan else {})
    return {"type": "box", "box": list(part.box)} | ({"label": part.label} if part.label else {})
