"""The verbs: chat, draw, edit, ground, reconstruct, story, slide, one at a time or in batches.

All but reconstruct are conversations of one turn through the engine. They differ in the prompt, which is the one that
the model was trained on (`seedx.variants`), and in whether an image must come.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Unpack, overload

import PIL.Image
import torch

from seedx.checkpoint import native
from seedx.checkpoint.adapters import Adapters, read_adapters
from seedx.checkpoint.hub import Hub
from seedx.checkpoint.model_card import push
from seedx.checkpoint.parts import Model
from seedx.checks import integer
from seedx.errors import SeedxError, SeedxWarning
from seedx.images import MAX_PIXELS, Pictures, Source
from seedx.inference.engine import Engine, Request
from seedx.inference.image_decoder import ImageRequest
from seedx.inference.reply import Reply
from seedx.inference.session import Session
from seedx.inference.settings import (
    Drawing,
    DrawOptions,
    DrawSettings,
    ImageDrawing,
    ImageOptions,
    Options,
    ReplyOptions,
    Settings,
    SettingsOptions,
    settings_from,
)
from seedx.inference.stories import stories
from seedx.messages import Box, Message
from seedx.slides import Slide
from seedx.variants import Verb

OnError = Literal["raise", "return"]


def load(
    name: str | Path = "tiny",
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    max_pixels: int | None = None,
    progress: bool = False,
    adapter: Adapters | None = None,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Pipeline:
    """Load a model for inference.

    Args:
        name: "tiny" (bundled), a folder, or a hub id "organisation/name".
        dtype: of the weights; None: float32 on the CPU, bfloat16 elsewhere.
        max_pixels: pictures with more are refused before they are decoded; None: `images.MAX_PIXELS`.
        progress: show a bar on stderr when drawing takes longer than a second.
        adapter: folders of adapters that stay apart from the model (`checkpoint/adapters.py`). One folder: every
            request has it that names no other. Several, in a list (named by their folders) or {name: folder}: a request
            names one, by the option `adapter`.
        revision: of a hub id: a branch, tag or commit; None: the main branch.
        cache_dir: where downloads are kept; None: the cache of huggingface_hub.
        local_files_only: use what was downloaded before, without the network.

    Raises:
        SeedxError: no such model, weights that do not fit its config.json, a device that is not there, or an adapter
            that is none or another model's.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SeedxError(f"torch can't use the device {str(device)!r} here: {str(error).splitlines()[0]}") from error
    hub = Hub(revision, cache_dir, local_files_only)
    limit = MAX_PIXELS if max_pixels is None else max_pixels
    adapters = {} if adapter is None else read_adapters(adapter)
    default = next(iter(adapters)) if isinstance(adapter, str | Path) else None
    model = native.load(name, device, dtype, hub)
    return Pipeline(Engine(model, max_pixels=limit, progress=progress, adapters=adapters, adapter=default))


class Pipeline:
    """A loaded model. Pictures are paths, bytes, open files or PIL pictures, of any size and ratio."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @property
    def model(self) -> Model:
        return self.engine.model

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the loaded adapters."""
        return tuple(self.engine.adapters.by_name)

    def merge_adapter(self, adapter: str | None = None) -> None:
        """Merge an adapter into the model's weights, as if the model had been trained so. `save` then writes it whole.

        Args:
            adapter: its name; None: the default.

        Raises:
            SeedxError: there is none of this name.
        """
        self.engine.merge_adapter(adapter)

    def save(self, folder: str | Path, dtype: torch.dtype | None = None) -> None:
        """Write the model to a folder, without its adapters, in the precision it has unless `dtype` is given."""
        native.save(self.model, folder, dtype)

    def push_to_hub(
        self, repository: str, *, private: bool = True, scores: str = "", dtype: torch.dtype | None = None
    ) -> str:
        """Upload the model, with a card that says what it is, from what, and under which licences.

        Args:
            repository: "organisation/name"; made if it is not there.
            scores: Markdown for the card, such as a table with the commands that gave it.
            dtype: precision to store; None: as the model has it.

        Returns:
            the address of the commit.

        Raises:
            SeedxError: the hub refuses it.
        """
        return push(self.model, repository, private=private, scores=scores, dtype=dtype)

    def session(self) -> Session:
        """A conversation of several turns, which keeps its pictures and its state."""
        return Session(self.engine)

    def chat(self, prompt: str, images: Pictures = (), **options: Unpack[ReplyOptions]) -> Reply:
        """The reply to one prompt, with pictures or none. Options and errors are those of `Session.send`."""
        return self.chat_batch([(prompt, images)], **options)[0]

    def caption(self, image: Source, **options: Unpack[Options]) -> str:
        """What the picture shows, in words."""
        return self.reply_batch([[self.engine.turn("", image, "caption")]], drawing="forbid", **options)[0].text

    def draw(self, prompt: str, *, drawing: ImageDrawing | None = None, **options: Unpack[Options]) -> PIL.Image.Image:
        """An image of what the prompt describes. Options: seed, size, steps, guidance and all of `Settings`.

        Args:
            drawing: "force": the model may say something first; "now": the reply starts with the image. None: as the
                model was trained.
        """
        return self.draw_batch([prompt], drawing=drawing, **options)[0]

    def edit(
        self,
        image: Source,
        instruction: str,
        *,
        drawing: ImageDrawing | None = None,
        condition: bool | None = None,
        **options: Unpack[Options],
    ) -> PIL.Image.Image:
        """The picture with one thing changed, at its ratio and about the area that the model draws.

        Args:
            drawing: as in `draw`.
            condition: keep the detail of the picture. None: yes, if the model was trained to edit. True tries it with
                one that was not, with a warning. False: it is drawn freely.

        Raises:
            SeedxError: the model was not trained to edit and `condition` is None, or has no second stage of the
                de-tokenizer; and as `chat`.
        """
        return self.edit_batch([image], [instruction], drawing=drawing, condition=condition, **options)[0]

    def ground(self, image: Source, phrase: str, **options: Unpack[Options]) -> list[Box]:
        """Boxes of what a phrase names: "the dog on the right", "all stars"; or of what the question is about, for a
        model that answers questions with boxes. A box without a label has the phrase."""
        turn = self.engine.turn(phrase, image, "ground")
        boxes = self.reply_batch([[turn]], drawing="forbid", **options)[0].boxes
        if not self.engine.variant.ground.document:
            return boxes
        return [dataclasses.replace(box, label=box.label or phrase.strip()) for box in boxes]

    def reconstruct(
        self, image: Source, condition: Source | None = None, **options: Unpack[ImageOptions]
    ) -> PIL.Image.Image:
        """The picture drawn from its features alone, or, with a condition, with the detail of that picture as well.

        Raises:
            SeedxError: a condition, and a model without the second stage of the de-tokenizer.
        """
        seed = options.get("seed", 0)
        return self.reconstruct_batch([image], None if condition is None else [condition], [seed], **options)[0]

    def story(
        self,
        prompt: str,
        frames: int = 5,
        image: Source | None = None,
        *,
        drawing: ImageDrawing = "force",
        **options: Unpack[Options],
    ) -> list[tuple[str, PIL.Image.Image]]:
        """A story in sentences and images: [(sentence, image), ...].

        A story that ends with fewer images is continued from its last one.

        Args:
            prompt: what it is about; with a first picture, what that one shows.
            frames: how many images it has; fewer if a reply does not end within `max_new_tokens`.
            image: the first picture, which is not part of the result.
            drawing: "now": each reply starts with an image.

        Raises:
            SeedxError: less than one frame, or as `chat`.
        """
        if integer("frames", frames) < 1:
            raise SeedxError(f"a story has at least one picture, not {frames}")
        verb: Verb = "story" if image is None else "story_more"
        opening = [self.engine.turn(prompt, () if image is None else (image,), verb, frames)]
        more = self.engine.variant.story_more
        return stories(self.reply_batch, [opening], [frames], more=more, drawing=drawing, **options)[0]

    def slide(self, prompt: str, **options: Unpack[Options]) -> Slide:
        """A slide about what the prompt says, with its image, as the model wrote it: see `Slide.fitted`.

        Raises:
            SeedxError: as `chat`; and where the reply is no slide, with what was wrong with it.
        """
        return Slide.parse(self.chat(prompt, condition=False, **options).content)

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
        if on_error not in ("raise", "return"):
            raise SeedxError(f'on_error is "raise" or "return", not {on_error!r}')
        if on_error == "raise":
            turns = [[self.engine.turn(text, pictures)] for text, pictures in prompts]
            return self.reply_batch(turns, adapters=adapters, **options)
        self.engine.image_decoder.check(settings_of_reply(options))  # a mistake in the options is no row's
        names = [options.get("adapter")] * len(prompts) if adapters is None else adapters
        tried = [self._tried(text, pictures, options) for text, pictures in prompts]
        asked = [(turn, name) for turn, name in zip(tried, names, strict=True) if not isinstance(turn, SeedxError)]
        turns, used = [turn for turn, _ in asked], [name for _, name in asked]
        replies = iter(self.reply_batch(turns, adapters=used, **options))
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
        adapters: Sequence[str | None] | None = None,
        adapter: str | None = None,
        **options: Unpack[SettingsOptions],
    ) -> list[Reply]:
        """The next messages of many conversations, together; each may have had any number of turns.

        Args:
            tiling: False: of each picture only the thumbnail is read.
            condition: images keep to the last one given or drawn before the reply; None: as the model was trained.
            seeds: one a conversation, in place of the option `seed`.
            grids: the only ones that pictures are read in, such as "1x1"; None: the model's.
            adapters: one a conversation, in place of the option `adapter`.
        """
        settings = settings_from(Settings, options)
        seeds = [settings.seed] * len(conversations) if seeds is None else seeds
        adapters = [adapter] * len(conversations) if adapters is None else adapters
        for what, given in (("seed", seeds), ("adapter", adapters)):
            if len(given) != len(conversations):
                raise SeedxError(f"one {what} a prompt: {len(conversations)} prompts came with {len(given)} {what}s")
        return self.engine.reply(
            [
                Request(
                    self.engine.open(each),
                    dataclasses.replace(settings, seed=seed),
                    drawing,
                    condition,
                    tiling,
                    grids,
                    adapter=name,
                )
                for each, seed, name in zip(conversations, seeds, adapters, strict=True)
            ]
        )

    def draw_batch(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int] | None = None,
        *,
        drawing: ImageDrawing | None = None,
        adapters: Sequence[str | None] | None = None,
        **options: Unpack[Options],
    ) -> list[PIL.Image.Image]:
        """`draw` for many prompts, a seed and an adapter each, or the options `seed` and `adapter` for all."""
        if drawing is None:
            drawing = "now" if self.engine.variant.draw.at_once else "force"
        turns = [[self.engine.turn(prompt, verb="draw")] for prompt in prompts]
        replies = self.reply_batch(turns, drawing=drawing, seeds=seeds, adapters=adapters, **options)
        return [reply.images[0] for reply in replies]

    def edit_batch(
        self,
        pictures: Sequence[Source],
        instructions: Sequence[str],
        seeds: Sequence[int] | None = None,
        *,
        drawing: ImageDrawing | None = None,
        condition: bool | None = None,
        adapters: Sequence[str | None] | None = None,
        **options: Unpack[Options],
    ) -> list[PIL.Image.Image]:
        """`edit` for many pictures: an instruction, a seed and an adapter each, or the options `seed` and `adapter` for
        all."""
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
            adapters=adapters,
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
        *,
        adapter: str | None = None,
        **options: Unpack[DrawOptions],
    ) -> list[PIL.Image.Image]:
        """`reconstruct` for many pictures, a seed each, and a condition each or None for all."""
        settings, decoder = settings_from(DrawSettings, options), self.engine.image_decoder
        opened = [self.open(picture) for picture in pictures]
        kept = [None] * len(opened) if conditions is None else [self.open(picture) for picture in conditions]
        return decoder.decode(
            [
                ImageRequest(features, dataclasses.replace(settings, seed=seed), condition, adapter)
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
    others = ("drawing", "condition", "adapter")
    return settings_from(Settings, {k: v for k, v in options.items() if k not in others})
