"""A conversation of several turns: each adds to the state of those before it, so that nothing is read twice.

An image that was drawn is read in the next turn like any other picture (see `prompt.py`), so one can ask about it or
change it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Unpack

import PIL.Image

from seedx.images import Source
from seedx.inference.engine import Engine, Request, Responses
from seedx.inference.generate import EndEvent, ImageEvent, RowState
from seedx.inference.reply import Reply
from seedx.inference.settings import Drawing, Options, Settings, settings_from
from seedx.messages import Box, Image, Message, Text, assistant, merge_texts


class Session:
    """Made by `Pipeline.session`.

    Attributes:
        messages: the conversation so far.
    """

    def __init__(self, engine: Engine) -> None:
        self.messages: list[Message[PIL.Image.Image]] = []
        self._engine = engine
        self._state: RowState | None = None

    def send(
        self,
        text: str,
        images: Source | Sequence[Source] | None = (),
        *,
        drawing: Drawing = "auto",
        condition: bool | None = None,
        **options: Unpack[Options],
    ) -> Reply:
        """Say something, with pictures of any size or none, and wait for the whole reply.

        Args:
            drawing: "auto": the model decides whether to draw; "force": at least one image, in the place of the end if
                need be; "now": the reply starts with an image; "forbid": none.
            condition: an image that is drawn keeps the detail and the ratio of the last one given or drawn before this
                reply. False: it is drawn freely. None: as the model was trained.
            **options: fields of `Settings`. Images after a reply's first have the seeds that follow.

        Raises:
            SeedxError: an empty text, an unknown option, a picture that can't be opened, or no room left in the model's
                context. The conversation is then as before.
        """
        *_, reply = self.stream(text, images, drawing=drawing, condition=condition, **options)
        assert isinstance(reply, Reply)
        return reply

    def stream(
        self,
        text: str,
        images: Source | Sequence[Source] | None = (),
        *,
        drawing: Drawing = "auto",
        condition: bool | None = None,
        **options: Unpack[Options],
    ) -> Iterator[Text | Image[PIL.Image.Image] | Reply]:
        """As `send`, but yield pieces of text and images as they come, and the whole `Reply` at the end."""
        settings, turn = settings_from(Settings, options), self._engine.turn(text, images)
        request = Request([*self.messages, turn], settings, drawing, condition, state=self._state)
        responses = self._engine.respond([request], keep_states=True)  # raises before anything has changed
        yield from self._stream(request, responses)

    def _stream(self, request: Request, responses: Responses) -> Iterator[Text | Image[PIL.Image.Image] | Reply]:
        before = list(self.messages)
        parts: list[Text | Image[PIL.Image.Image]] = []
        reason = ""
        self.messages = [*request.conversation, assistant("")]
        try:
            for _, event in responses:
                if isinstance(event, EndEvent):
                    reason = event.reason
                    continue
                if isinstance(event, ImageEvent):
                    number = sum(isinstance(part, Image) for part in parts)
                    image = self._engine.image_request(request, number, event.features)
                    parts.append(Image(self._engine.image_decoder.decode([image])[0]))
                else:
                    parts.append(Text(event.text))
                self.messages[-1] = assistant(*parts)
                yield parts[-1]
        finally:
            responses.close()
            if responses.states[0] is None:  # the turn was not read: it did not happen
                self.messages = before
            else:
                self._state = responses.states[0]
        yield Reply(tuple(part for part in merge_texts(parts) if not isinstance(part, Box)), reason)
