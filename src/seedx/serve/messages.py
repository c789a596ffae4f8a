"""Clients' messages -> the conversation that the model is asked, and its pictures opened."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Sequence

import PIL.Image

from seedx.errors import SeedxError
from seedx.images import ImageError, open_image
from seedx.messages import Box, Image, Message, Part, Text, pictures_first
from seedx.serve.errors import ServeError, refused
from seedx.serve.fetch import Fetcher
from seedx.serve.schemas import ChatMessage, ImageCallItem, ImagePart, InputImagePart, TextPart
from seedx.serve.settings import Limits
from seedx.tokens import box_to_text

Opened = PIL.Image.Image
_DATA = re.compile(r"data:[\w.+/-]*;base64,")


class Pictures:
    """Opens the pictures of one request, within its limits.

    Args:
        fetcher: gets pictures by address; None: they are refused.
    """

    def __init__(self, limits: Limits, fetcher: Fetcher | None = None) -> None:
        self.limits, self.fetcher, self.count = limits, fetcher, 0

    def by_address(self, address: str, param: str) -> Opened:
        """A picture by a `data:` URI, or by http(s) where that is allowed.

        Raises:
            ServeError: it is refused, or no picture.
        """
        if match := _DATA.match(address):
            try:
                return self.of_bytes(base64.b64decode(address[match.end() :], validate=True), param)
            except binascii.Error as error:
                raise ServeError(f"{param}: the data: URI is no valid base64", 400, "invalid_image", param) from error
        if address.startswith("data:"):
            raise ServeError(
                f"{param}: a picture is a data: URI in base64: data:image/png;base64,...", 400, "invalid_image", param
            )
        if not address.startswith(("http://", "https://")):
            raise refused(param, "a picture is a data: URI, such as data:image/png;base64,...")
        if self.fetcher is None:
            raise refused(
                param,
                "this server does not fetch pictures by address: send a data: URI (its owner may allow addresses by "
                "--allow-urls)",
            )
        return self.of_bytes(self.fetcher.fetch(address), param)

    def of_bytes(self, data: bytes, param: str) -> Opened:
        """
        Raises:
            ServeError: no picture, a broken one, one too large, or one too many.
        """
        self.count += 1
        if self.count > self.limits.max_images:
            raise ServeError(
                f"{param}: more than {self.limits.max_images} pictures in one request", 400, "too_many_images", param
            )
        try:
            return open_image(data, max_pixels=self.limits.max_image_pixels)
        except ImageError as error:
            raise ServeError(f"{param}: {error}", 400, "invalid_image", param) from error

    def mask(self, data: bytes) -> Opened:
        """A picture whose alpha channel is kept.

        Raises:
            ServeError: as `of_bytes`.
        """
        self.of_bytes(data, "mask")  # every check, on the same bytes
        with PIL.Image.open(io.BytesIO(data), formats=("PNG", "WEBP")) as picture:
            transparent = "A" in picture.getbands() or "transparency" in picture.info
            return picture.convert("RGBA" if transparent else "RGB")


def in_tiles(messages: Sequence[ChatMessage | ImageCallItem]) -> bool:
    """Whether pictures are read in tiles: not if the detail of all is "low", by which only their thumbnails are."""
    details = [
        part.detail if isinstance(part, InputImagePart) else getattr(part.image_url, "detail", "auto")
        for message in messages
        if isinstance(message, ChatMessage) and not isinstance(message.content, str)
        for part in message.content
        if not isinstance(part, TextPart)
    ]
    return not details or any(detail != "low" for detail in details)


def conversation(
    messages: Sequence[ChatMessage | ImageCallItem], pictures: Pictures, param: str = "messages"
) -> list[Message[Opened]]:
    """The messages in order; what one role says in a row is one message. A user's pictures after a text come before it.

    Raises:
        ServeError: a picture or a role that can't be; a conversation that does not end with the user.
    """
    found: list[Message[Opened]] = []
    for index, message in enumerate(messages):
        name = f"{param}.{index}"
        if isinstance(message, ImageCallItem):
            picture = pictures.by_address(f"data:image/png;base64,{message.result}", f"{name}.result")
            _append(found, Message("assistant", (Image(picture),)))
            continue
        role = "system" if message.role == "developer" else message.role
        parts = _parts(message, pictures, name)
        if parts:
            _append(found, Message(role, pictures_first(parts) if role == "user" else tuple(parts)))
    if not found or found[-1].role != "user":
        raise ServeError(f"{param}: the last message is the user's, with a text or a picture", 400, None, param)
    return found


def _append(found: list[Message[Opened]], message: Message[Opened]) -> None:
    if found and found[-1].role == message.role:
        gap: tuple[Part[Opened], ...] = (Text("\n"),) if message.role != "assistant" else ()
        message = Message(message.role, (*found.pop().content, *gap, *message.content))
    found.append(message)


def _parts(message: ChatMessage, pictures: Pictures, name: str) -> list[Part[Opened]]:
    content = [TextPart(type="text", text=message.content)] if isinstance(message.content, str) else message.content
    parts: list[Part[Opened]] = []
    for index, part in enumerate([*content, *message.images]):
        if isinstance(part, TextPart):
            parts += [Text(part.text)] if part.text else []
        else:
            parts.append(Image(pictures.by_address(_address(part), f"{name}.content.{index}.image_url")))
    try:
        return [*parts, *(Box(_checked(box.box), "") for box in message.boxes)]
    except SeedxError as error:
        raise ServeError(f"{name}.boxes: {error}", 400, "invalid_value", f"{name}.boxes") from error


def _checked(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """
    Raises:
        SeedxError: no box.
    """
    box_to_text(box)
    return box


def _address(part: ImagePart | InputImagePart) -> str:
    return part.image_url if isinstance(part.image_url, str) else part.image_url.url
