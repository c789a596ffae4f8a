"""The verbs for many rows together. Each row's result is what it would be alone."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Literal, Unpack, overload

import PIL.Image

from seedx.errors import SeedxError, SeedxWarning
from seedx.images import Pictures, Source
from seedx.inference.engine import Engine, Request
from seedx.inference.image_decoder import ImageRequest
from seedx.inference.reply import Reply
from seedx.inference.settings import (
    Drawing,
    DrawOptions,
    DrawSettings,
    ImageDrawing,
    Options,
    ReplyOptions,
    Settings,
    settings_from,
)
from seedx.messages import Message

OnError = Literal["raise", "return"]


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
        **options: Unpack[ReplyOptions],
    ) -> list[Reply]: ...

    @overload
    def chat_batch(
        self,
        prompts: Sequence[tuple[str, Pictures]],
        *,
        on_error: OnError,
        **options: Unpack[ReplyOptions],
    ) -> list[Reply] | list[Reply | SeedxError]: ...

    def chat_batch(
        self,
        prompts: Sequence[tuple[str, Pictures]],
        *,
        on_error: OnError = "raise",
        **options: Unpack[ReplyOptions],
    ) -> list[Reply] | list[Reply | SeedxError]:
        """Replies to many prompts together; each is what `chat` gives alone. Options are those of `reply_batch`.

        Args:
            on_error: what a prompt that can't be answered does: an empty text, a picture that can't be opened, more
                than the context holds. "raise": the call raises its error. "return": the error is that row's result,
                and the other rows are answered.
        """
        if on_error not in ("raise", "return"):
            raise SeedxError(f'on_error is "raise" or "return", not {on_error!r}')
        if on_error == "raise":
            return self.reply_batch([[self.engine.turn(text, pictures)] for text, pictures in prompts], **options)
        self.engine.image_decoder.check(settings_of_reply(options))  # a mistake in the options is no row's
        tried = [self._tried(text, pictures, options) for text, pictures in prompts]
        replies = iter(self.reply_batch([turn for turn in tried if not isinstance(turn, SeedxError)], **options))
        results: list[Reply | SeedxError] = [turn if isinstance(turn, SeedxError) else next(replies) for turn in tried]
        return results

    def reply_batch(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        tiling: bool = True,
        drawing: Drawing = "auto",
        condition: bool | None = None,
        seeds: Sequence[int] | None = None,
        grids: tuple[str, ...] | None = None,
        **options: Unpack[Options],
    ) -> list[Reply]:
        """The next messages of many conversations, together; each may have had any number of turns.

        Args:
            tiling: False: of each picture only the thumbnail is read.
            condition: images keep to the last one given or drawn before the reply; None: as the model was trained.
            seeds: one a conversation, in place of the option `seed`.
            grids: the only ones that pictures are read in, such as "1x1"; None: the model's.
        """
        settings = settings_from(Settings, options)
        seeds = [settings.seed] * len(conversations) if seeds is None else seeds
        if len(seeds) != len(conversations):
            raise SeedxError(f"one seed a prompt: {len(conversations)} prompts came with {len(seeds)} seeds")
        return self.engine.reply(
            [
                Request(
                    self.engine.open(each),
                    dataclasses.replace(settings, seed=seed),
                    drawing,
                    condition,
                    tiling,
                    grids,
                )
                for each, seed in zip(conversations, seeds, strict=True)
            ]
        )

    def draw_batch(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int] | None = None,
        *,
        drawing: ImageDrawing | None = None,
        **options: Unpack[Options],
    ) -> list[PIL.Image.Image]:
        """`draw` for many prompts, a seed each, or the option `seed` for all."""
        if drawing is None:
            drawing = "now" if self.engine.variant.draw.at_once else "force"
        turns = [[self.engine.turn(prompt, verb="draw")] for prompt in prompts]
        return [reply.images[0] for reply in self.reply_batch(turns, drawing=drawing, seeds=seeds, **options)]

    def edit_batch(
        self,
        pictures: Sequence[Source],
        instructions: Sequence[str],
        seeds: Sequence[int] | None = None,
        *,
        drawing: ImageDrawing | None = None,
        condition: bool | None = None,
        **options: Unpack[Options],
    ) -> list[PIL.Image.Image]:
        """`edit` for many pictures, an instruction and a seed each, or the option `seed` for all."""
        self._check_edits(condition)
        turns = [
            [self.engine.turn(text, picture, "edit")] for picture, text in zip(pictures, instructions, strict=True)
        ]
        replies = self.reply_batch(
            turns,
            drawing=drawing or "force",
            condition=condition is not False,
            seeds=seeds,
            grids=self.engine.variant.edit_grids,
            **options,
        )
        return [reply.images[0] for reply in replies]

    def _check_edits(self, condition: bool | None) -> None:
        """
        Raises:
            SeedxError: the model was not trained to edit, and the user has not chosen to try.
        """
        variant = self.engine.variant
        if variant.edits:
            return
        if condition is None:
            raise SeedxError(
                f"{variant.title} was not trained to edit pictures: use SEED-X-Edit, or try it with condition=True "
                "(--condition)"
            )
        warnings.warn(
            f"{variant.title} was not trained to edit pictures, so expect little of it", SeedxWarning, stacklevel=4
        )

    def reconstruct_batch(
        self,
        pictures: Sequence[Source],
        conditions: Sequence[Source] | None,
        seeds: Sequence[int],
        **options: Unpack[DrawOptions],
    ) -> list[PIL.Image.Image]:
        """`reconstruct` for many pictures, a seed each, and a condition each or None for all."""
        settings, decoder = settings_from(DrawSettings, options), self.engine.image_decoder
        opened = [self.open(picture) for picture in pictures]
        kept = [None] * len(opened) if conditions is None else [self.open(picture) for picture in conditions]
        return decoder.decode(
            [
                ImageRequest(features, dataclasses.replace(settings, seed=seed), condition)
                for features, seed, condition in zip(decoder.encode(opened), seeds, kept, strict=True)
            ]
        )

    def _tried(
        self, text: str, pictures: Pictures, options: ReplyOptions
    ) -> list[Message[PIL.Image.Image]] | SeedxError:
        """A conversation of one turn that can be answered, or why it can't be."""
        try:
            turn = [self.engine.turn(text, pictures)]
            drawing, condition = options.get("drawing", "auto"), options.get("condition")
            self.engine.check(Request(turn, settings_of_reply(options), drawing, condition))
        except SeedxError as error:
            return error
        return turn

    def open(self, picture: Source) -> PIL.Image.Image:
        """A picture as the model reads it: RGB, upright.

        Raises:
            SeedxError: it can't be opened.
        """
        return self.engine.open_picture(picture)


def settings_of_reply(options: ReplyOptions) -> Settings:
    """The settings among the options of a reply."""
    return settings_from(Settings, {k: v for k, v in options.items() if k not in ("drawing", "condition")})
