"""The verbs for many rows together. Each row's result is what it would be alone."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar, Unpack, cast, overload

import PIL.Image

from seedx.errors import SeedxError, SeedxWarning
from seedx.images import Pictures, Source
from seedx.inference.engine import Conversation, Engine, Request
from seedx.inference.image_decoder import ImageRequest
from seedx.inference.reply import Reply
from seedx.inference.row_errors import OnError, each, same_length
from seedx.inference.settings import (
    Drawing,
    DrawOptions,
    DrawSettings,
    ImageDrawing,
    Options,
    ReplyOptions,
    Settings,
    SettingsOptions,
    settings_from,
)
from seedx.messages import Message

R = TypeVar("R")
_ToReconstruct = tuple[PIL.Image.Image, PIL.Image.Image | None, DrawSettings]


class Batches:
    """A loaded model's verbs in batches: the half of `pipeline.Pipeline` that does the work."""

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
    def draw_batch(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int] | None = None,
        *,
        drawing: ImageDrawing | None = None,
        on_error: Literal["raise"] = "raise",
        adapters: Sequence[str | None] | None = None,
        **options: Unpack[Options],
    ) -> list[PIL.Image.Image]: ...

    @overload
    def draw_batch(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int] | None = None,
        *,
        drawing: ImageDrawing | None = None,
        on_error: OnError,
        adapters: Sequence[str | None] | None = None,
        **options: Unpack[Options],
    ) -> list[PIL.Image.Image] | list[PIL.Image.Image | SeedxError]: ...

    def draw_batch(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int] | None = None,
        *,
        drawing: ImageDrawing | None = None,
        on_error: OnError = "raise",
        adapters: Sequence[str | None] | None = None,
        **options: Unpack[Options],
    ) -> list[PIL.Image.Image] | list[PIL.Image.Image | SeedxError]:
        """`draw` for many prompts: a seed and an adapter each, or the options `seed` and `adapter` for all. For
        `on_error` see `chat_batch`."""
        if drawing is None:
            drawing = "now" if self.engine.variant.draw.at_once else "force"
        replies = self._replies(
            prompts,
            lambda text: [self.engine.turn(text, verb="draw")],
            seeds,
            on_error,
            drawing=drawing,
            adapters=adapters,
            one_image=True,
            **options,
        )
        return _first_images(replies)

    @overload
    def edit_batch(
        self,
        pictures: Sequence[Source],
        instructions: Sequence[str],
        seeds: Sequence[int] | None = None,
        *,
        drawing: ImageDrawing | None = None,
        condition: bool | None = None,
        on_error: Literal["raise"] = "raise",
        adapters: Sequence[str | None] | None = None,
        **options: Unpack[Options],
    ) -> list[PIL.Image.Image]: ...

    @overload
    def edit_batch(
        self,
        pictures: Sequence[Source],
        instructions: Sequence[str],
        seeds: Sequence[int] | None = None,
        *,
        drawing: ImageDrawing | None = None,
        condition: bool | None = None,
        on_error: OnError,
        adapters: Sequence[str | None] | None = None,
        **options: Unpack[Options],
    ) -> list[PIL.Image.Image] | list[PIL.Image.Image | SeedxError]: ...

    def edit_batch(
        self,
        pictures: Sequence[Source],
        instructions: Sequence[str],
        seeds: Sequence[int] | None = None,
        *,
        drawing: ImageDrawing | None = None,
        condition: bool | None = None,
        on_error: OnError = "raise",
        adapters: Sequence[str | None] | None = None,
        **options: Unpack[Options],
    ) -> list[PIL.Image.Image] | list[PIL.Image.Image | SeedxError]:
        """`edit` for many pictures: an instruction, a seed and an adapter each, or the options `seed` and `adapter` for
        all. For `on_error` see `chat_batch`."""
        self._check_edits(condition)
        same_length("instruction", instructions, len(pictures), "picture")
        replies = self._replies(
            list(zip(pictures, instructions, strict=True)),
            lambda row: [self.engine.turn(row[1], row[0], "edit")],
            seeds,
            on_error,
            drawing=drawing or "force",
            condition=condition is not False,
            grids=self.engine.variant.edit_grids,
            adapters=adapters,
            one_image=True,
            **options,
        )
        return _first_images(replies)

    def _check_edits(self, condition: bool | None) -> None:
        """
        Raises:
            SeedxError: the model was not trained to edit, and the user has not chosen to try.
        """
        variant = self.engine.variant
        if variant.edits or not variant.language:  # without one, the question itself is refused
            return
        if condition is None:
            raise SeedxError(
                f"{variant.title} was not trained to edit pictures: use SEED-X-Edit, or try it with condition=True "
                "(--condition)"
            )
        warnings.warn(
            f"{variant.title} was not trained to edit pictures, so expect little of it", SeedxWarning, stacklevel=4
        )

    @overload
    def reconstruct_batch(
        self,
        pictures: Sequence[Source],
        conditions: Sequence[Source] | None,
        seeds: Sequence[int],
        *,
        on_error: Literal["raise"] = "raise",
        adapter: str | None = None,
        **options: Unpack[DrawOptions],
    ) -> list[PIL.Image.Image]: ...

    @overload
    def reconstruct_batch(
        self,
        pictures: Sequence[Source],
        conditions: Sequence[Source] | None,
        seeds: Sequence[int],
        *,
        on_error: OnError,
        adapter: str | None = None,
        **options: Unpack[DrawOptions],
    ) -> list[PIL.Image.Image] | list[PIL.Image.Image | SeedxError]: ...

    def reconstruct_batch(
        self,
        pictures: Sequence[Source],
        conditions: Sequence[Source] | None,
        seeds: Sequence[int],
        *,
        on_error: OnError = "raise",
        adapter: str | None = None,
        **options: Unpack[DrawOptions],
    ) -> list[PIL.Image.Image] | list[PIL.Image.Image | SeedxError]:
        """`reconstruct` for many pictures, a seed each, and a condition each or None for all. For `on_error` see
        `chat_batch`."""
        settings, decoder = settings_from(DrawSettings, options), self.engine.image_decoder
        decoder.check(settings)
        kept = [None] * len(pictures) if conditions is None else conditions
        same_length("condition", kept, len(pictures), "picture")
        same_length("seed", seeds, len(pictures), "picture")

        def opened(row: tuple[Source, Source | None, int]) -> _ToReconstruct:
            picture, condition, seed = row
            own = dataclasses.replace(settings, seed=seed)
            return self.open(picture), None if condition is None else self.open(condition), own

        def run(rows: list[_ToReconstruct]) -> list[PIL.Image.Image]:
            encoded = decoder.encode([picture for picture, _, _ in rows])
            requests = zip(encoded, rows, strict=True)
            return decoder.decode([ImageRequest(features, own, kept, adapter) for features, (_, kept, own) in requests])

        return each(list(zip(pictures, kept, seeds, strict=True)), opened, run, on_error)

    def open(self, picture: Source) -> PIL.Image.Image:
        """A picture as the model reads it: RGB, upright.

        Raises:
            SeedxError: it can't be opened.
        """
        return self.engine.open_picture(picture)


def _first_images(replies: list[Reply | SeedxError]) -> list[PIL.Image.Image | SeedxError]:
    return [reply if isinstance(reply, SeedxError) else reply.images[0] for reply in replies]
