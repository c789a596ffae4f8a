"""A conversation of several turns: each adds to the state of those before it, so that nothing is read twice.

An image that was drawn is read in the next turn like any other picture (see `prompt.py`), so one can ask about it or
change it.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from typing import Unpack

import PIL.Image

from seedx.errors import SeedxError
from seedx.images import Pictures
from seedx.inference.engine import Engine, Request, Responses
from seedx.inference.events import EndEvent, ImageEvent
from seedx.inference.reply import Reply
from seedx.inference.rows import RowState
from seedx.inference.settings import Drawing, Settings, SettingsOptions, settings_from
from seedx.messages import Box, Image, Message, Text, assistant, merge_texts


class Session:
    """Made by `Pipeline.session`. A session is for one thread; a turn begins once the one before it has ended.

    Attributes:
        messages: the conversation so far.
    """

    def __init__(self, engine: Engine) -> None:
        self.messages: list[Message[PIL.Image.Image]] = []
        self._engine = engine
        self._state: RowState | None = None
        self._turn = threading.Lock()  # held while a reply is generated

    def send(
        self,
        text: str,
        images: Pictures = (),
        *,
        drawing: Drawing = "auto",
        condition: bool | None = None,
        adapter: str | None = None,
        **options: Unpack[SettingsOptions],
    ) -> Reply:
        """Say something, with pictures of any size or none, and wait for the whole reply.

        Args:
            drawing: "auto": the model decides whether to draw; "force": at least one image, in the place of the end if
                need be; "now": the reply starts with an image; "forbid": none.
            condition: an image that is drawn keeps the detail and the ratio of the last one given or drawn before this
                reply. False: it is drawn freely. None: as the model was trained.
            adapter: a loaded adapter for this turn; "base": none; None: the model's default. One that differs from the
                turn before's reads the whole conversation again.
            **options: fields of `Settings`. Images after a reply's first have the seeds that follow.

        Raises:
            SeedxError: an empty text, an unknown option, a picture that can't be opened, no room left in the model's
                context, or a stream that is still open. The conversation is then as before, as after any other error
                and after an interrupt.
        """
        *_, reply = self.stream(text, images, drawing=drawing, condition=condition, adapter=adapter, **options)
        assert isinstance(reply, Reply)
        return reply

    def stream(
        self,
        text: str,
        images: Pictures = (),
        *,
        drawing: Drawing = "auto",
        condition: bool | None = None,
        adapter: str | None = None,
        **options: Unpack[SettingsOptions],
    ) -> Generator[Text | Image[PIL.Image.Image] | Reply, None, None]:
        """As `send`, but yield pieces of text and images as they come, and the whole `Reply` at the end.

        A stream that is closed before its end (`stream.close()`) keeps what came until then.
        """
        if not self._turn.acquire(blocking=False):
            raise SeedxError(
                "the reply before this turn has not ended: read its stream to the end or close it (stream.close()), "
                "and use a session in one thread only"
            )
        try:
            yield from self._begin(text, images, drawing, condition, adapter, options)
        finally:
            self._turn.release()

    def _begin(
        self,
        text: str,
        images: Pictures,
        drawing: Drawing,
        condition: bool | None,
        adapter: str | None,
        options: SettingsOptions,
    ) -> Iterator[Text | Image[PIL.Image.Image] | Reply]:
        settings, turn = settings_from(Settings, options), self._engine.turn(text, images)
        state = self._state
        if state is not None and state.read.adapter != self._engine.adapters.of_rows(adapter):
            state = None
        request = Request([*self.messages, turn], settings, drawing, condition, state=state, adapter=adapter)
        responses = self._engine.respond([request], keep_states=True)  # raises before anything has changed
        yield from self._stream(request, responses)

    def _stream(self, request: Request, responses: Responses) -> Iterator[Text | Image[PIL.Image.Image] | Reply]:
        before, kept = list(self.messages), False
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
                    parts.append(Image(self._engine.image_decoder.decode([image])[0], plan=event.plan))
                else:
                    parts.append(Text(event.text))
                self.messages[-1] = assistant(*parts)
                kept = True
                yield parts[-1]
                kept = False
            kept = True
        finally:
            responses.close()
            if kept and responses.states[0] is not None:
                self._state = responses.states[0]
            else:  # an error or an interrupt: the turn did not happen, and the state before it is as it was
                self.messages = before
        yield Reply(tuple(part for part in merge_texts(parts) if not isinstance(part, Box)), reason)
