"""A conversation that goes on: a turn adds to the cache of those before it, so that nothing is read twice.

What is drawn is read in the next turn like any other picture (see `prompt.py`), so one can ask about it or change it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import PIL.Image

from seedx.images import Source
from seedx.inference import generate
from seedx.inference.generate import ImageFeatures
from seedx.inference.image_decoder import Order
from seedx.inference.reply import Reply
from seedx.inference.settings import Drawing, Settings, settings_from
from seedx.messages import Image, Message, Text, assistant

if TYPE_CHECKING:
    from seedx.inference.pipeline import Pipeline


class Session:
    """Made by `Pipeline.session`."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.messages: list[Message[PIL.Image.Image]] = []
        self._pipeline = pipeline
        self._state = generate.Session.start(pipeline.model.seedx)
        self._latest: PIL.Image.Image | None = None  # the last picture given or drawn

    def send(
        self,
        text: str,
        images: Source | Sequence[Source] = (),
        *,
        drawing: Drawing = "auto",
        condition: bool = True,
        **options: Any,
    ) -> Reply:
        """Say something, with pictures of any size or none, and wait for all of the reply.

        Args:
            drawing: "auto": the model decides whether to draw; "force": at least one picture; "forbid": none.
            condition: a picture that is drawn keeps to the last one given or drawn before this reply, and has its
                ratio. False: drawn freely.
            **options: fields of `Settings`. Pictures after a reply's first have the seeds that follow.

        Raises:
            ValueError: an empty text, an unknown option, a picture that can't be opened, or no room left in the model's
                context. The conversation is then as before.
        """
        *_, reply = self.stream(text, images, drawing=drawing, condition=condition, **options)
        assert isinstance(reply, Reply)
        return reply

    def stream(
        self,
        text: str,
        images: Source | Sequence[Source] = (),
        *,
        drawing: Drawing = "auto",
        condition: bool = True,
        **options: Any,
    ) -> Iterator[Text | Image | Reply]:
        """As `send`, but yield pieces of text and pictures as they come, and the whole `Reply` at the end."""
        settings = settings_from(Settings, options)
        self._pipeline.painter.check(settings)
        turn = self._pipeline.turn(text, images)
        events = self._answer(turn, settings, drawing)
        first = next(events)  # a prompt that does not fit raises here, before anything has changed
        self.messages += [turn, assistant("")]
        self._latest = next((part.image for part in reversed(turn.content) if isinstance(part, Image)), self._latest)
        kept = self._pipeline.condition(self._latest) if condition else None
        parts: list[Text | Image[PIL.Image.Image]] = []
        reason = ""
        for _, event in itertools.chain([first], events):
            if isinstance(event, generate.End):
                reason = event.reason
                continue
            if isinstance(event, ImageFeatures):
                seed = settings.seed + sum(isinstance(part, Image) for part in parts)
                (self._latest,) = self._pipeline.painter.paint([Order(event.features, seed, kept)], settings)
                parts.append(Image(self._latest))
            else:
                parts.append(Text(event.text))
            self.messages[-1] = assistant(*parts)
            yield parts[-1]
        yield Reply(joined(parts), reason)

    def _answer(
        self, turn: Message[PIL.Image.Image], settings: Settings, drawing: Drawing
    ) -> Iterator[tuple[int, generate.Event]]:
        """What the model says to a turn, read on top of the turns before it."""
        pipeline = self._pipeline
        prompt = pipeline.prompt(turn, after=self.messages[-1] if self.messages else None)
        options = pipeline.answer_options(settings, settings.seed, drawing)
        return generate.stream(pipeline.model.seedx, pipeline.model.tokenizer, [prompt], options, self._state)


def joined(parts: Sequence[Text | Image]) -> tuple[Text | Image, ...]:
    """Texts that follow each other become one."""
    whole: list[Text | Image] = []
    for part in parts:
        if isinstance(part, Text) and whole and isinstance(whole[-1], Text):
            whole[-1] = Text(whole[-1].text + part.text)
        else:
            whole.append(part)
    return tuple(whole)
