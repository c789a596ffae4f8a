"""Replies to many rows together. Each row's reply is what it would be alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar, Unpack, cast, overload

import PIL.Image

from seedx.errors import SeedxError
from seedx.images import Pictures, Source
from seedx.inference.engine import Conversation, Engine, Request
from seedx.inference.reply import Reply
from seedx.inference.row_errors import OnError, each, same_length
from seedx.inference.settings import Drawing, Options, ReplyOptions, Settings, SettingsOptions, settings_from
from seedx.messages import Box, Message

R = TypeVar("R")


class ReplyBatches:
    """A loaded model's replies in batches; `image_batches.Batches` adds the verbs that give images."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @overload
    def chat_batch(
        self,
        prompts: Sequence[tuple[str, Pictures]],
        *,
        on_error: Literal["raise"] = "raise",
        adapters: Sequence[str | None] | None = None,
        **options: Unpack[ReplyOptions],
    ) -> list[Reply]: ...

    @overload
    def chat_batch(
        self,
        prompts: Sequence[tuple[str, Pictures]],
        *,
        on_error: OnError,
        adapters: Sequence[str | None] | None = None,
        **options: Unpack[ReplyOptions],
    ) -> list[Reply] | list[Reply | SeedxError]: ...

    def chat_batch(
        self,
        prompts: Sequence[tuple[str, Pictures]],
        *,
        on_error: OnError = "raise",
        adapters: Sequence[str | None] | None = None,
        **options: Unpack[ReplyOptions],
    ) -> list[Reply] | list[Reply | SeedxError]:
        """Replies to many prompts together; each is what `chat` gives alone. Options are those of `reply_batch`.

        Args:
            on_error: what a prompt that can't be answered does: an empty text, a picture that can't be opened, more
                than the context holds. "raise": the call raises its error. "return": the error is that row's result,
                and the other rows are answered.
            adapters: one a prompt, in place of the option `adapter`.
        """
        return self._replies(
            prompts, lambda row: [self.engine.turn(*row)], None, on_error, adapters=adapters, **options
        )

    def reply_batch(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        tiling: bool = True,
        drawing: Drawing = "auto",
        condition: bool | None = None,
        seeds: Sequence[int] | None = None,
        grids: tuple[str, ...] | None = None,
        adapters: Sequence[str | None] | None = None,
        **options: Unpack[Options],
    ) -> list[Reply]:
        """The next messages of many conversations, together; each may have had any number of turns.

        Args:
            tiling: False: of each picture only the thumbnail is read.
            condition: images keep to the last one given or drawn before the reply; None: as the model was trained.
            seeds: one a conversation, in place of the option `seed`.
            grids: the only ones that pictures are read in, such as "1x1"; None: the model's.
            adapters: one a conversation, in place of the option `adapter`.
        """
        replies = self._replies(
            conversations,
            self.engine.open,
            seeds,
            tiling=tiling,
            drawing=drawing,
            condition=condition,
            grids=grids,
            adapters=adapters,
            **options,
        )
        return cast("list[Reply]", replies)

    def _replies(
        self,
        rows: Sequence[R],
        make: Callable[[R], Conversation],
        seeds: Sequence[int] | None,
        on_error: OnError = "raise",
        *,
        tiling: bool = True,
        drawing: Drawing = "auto",
        condition: bool | None = None,
        grids: tuple[str, ...] | None = None,
        adapter: str | None = None,
        adapters: Sequence[str | None] | None = None,
        one_image: bool = False,
        **options: Unpack[SettingsOptions],
    ) -> list[Reply | SeedxError]:
        """The replies to what `make` gives for each row. A mistake in the options is no row's: it is raised."""
        settings = settings_from(Settings, options)
        self.engine.image_decoder.check(settings)
        if condition:
            self.engine.image_decoder.check_condition()
        seeds = [settings.seed] * len(rows) if seeds is None else seeds
        adapters = [adapter] * len(rows) if adapters is None else adapters
        same_length("seed", seeds, len(rows), "prompt")
        same_length("adapter", adapters, len(rows), "prompt")

        def request(row: tuple[R, int, str | None]) -> Request:
            own = dataclasses.replace(settings, seed=row[1])
            made = Request(make(row[0]), own, drawing, condition, tiling, grids, adapter=row[2], one_image=one_image)
            if on_error == "return":
                self.engine.check(made)
            return made

        return each(list(zip(rows, seeds, adapters, strict=True)), request, self.engine.reply, on_error)

    @overload
    def caption_batch(
        self, images: Sequence[Source], *, on_error: Literal["raise"] = "raise", **options: Unpack[Options]
    ) -> list[str]: ...

    @overload
    def caption_batch(
        self, images: Sequence[Source], *, on_error: OnError, **options: Unpack[Options]
    ) -> list[str] | list[str | SeedxError]: ...

    def caption_batch(
        self, images: Sequence[Source], *, on_error: OnError = "raise", **options: Unpack[Options]
    ) -> list[str] | list[str | SeedxError]:
        """`caption` for many pictures. For `on_error` see `chat_batch`."""
        replies = self._replies(
            images,
            lambda image: [self.engine.turn("", image, "caption")],
            None,
            on_error,
            drawing="forbid",
            **options,
        )
        return [reply if isinstance(reply, SeedxError) else reply.text for reply in replies]

    @overload
    def ground_batch(
        self,
        images: Sequence[Source],
        phrases: Sequence[str],
        *,
        on_error: Literal["raise"] = "raise",
        **options: Unpack[Options],
    ) -> list[list[Box]]: ...

    @overload
    def ground_batch(
        self, images: Sequence[Source], phrases: Sequence[str], *, on_error: OnError, **options: Unpack[Options]
    ) -> list[list[Box]] | list[list[Box] | SeedxError]: ...

    def ground_batch(
        self,
        images: Sequence[Source],
        phrases: Sequence[str],
        *,
        on_error: OnError = "raise",
        **options: Unpack[Options],
    ) -> list[list[Box]] | list[list[Box] | SeedxError]:
        """`ground` for many pictures, a phrase each. For `on_error` see `chat_batch`."""
        same_length("phrase", phrases, len(images), "picture")
        replies = self._replies(
            list(zip(images, phrases, strict=True)),
            lambda row: [self.engine.turn(row[1], row[0], "ground")],
            None,
            on_error,
            drawing="forbid",
            **options,
        )
        return [
            reply if isinstance(reply, SeedxError) else self._labelled(reply.boxes, phrase)
            for reply, phrase in zip(replies, phrases, strict=True)
        ]

    def _labelled(self, boxes: list[Box], phrase: str) -> list[Box]:
        """A document's boxes have no label where the phrase is all of the prompt."""
        if not self.engine.variant.ground.document:
            return boxes
        return [dataclasses.replace(box, label=box.label or phrase.strip()) for box in boxes]

    def open(self, picture: Source) -> PIL.Image.Image:
        """A picture as the model reads it: RGB, upright.

        Raises:
            SeedxError: it can't be opened.
        """
        return self.engine.open_picture(picture)
