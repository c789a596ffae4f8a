"""The verbs: chat, draw, edit, ground, reconstruct, story, slide, one at a time or in batches.

All but reconstruct are conversations of one turn. What differs is what is said, and whether a picture must come.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import PIL.Image
import torch

from seedx.checkpoint import native
from seedx.errors import SeedxError
from seedx.images import MAX_PIXELS, Source, open_image
from seedx.inference import generation
from seedx.inference.generate import Prompt, generate
from seedx.inference.image_decoder import Order, Painter
from seedx.inference.reply import Reply
from seedx.inference.session import Session
from seedx.inference.settings import Drawing, DrawSettings, Settings, settings_from
from seedx.inference.stories import GO_ON, stories
from seedx.messages import Box, Image, Message, Text, assistant, images, map_images, user
from seedx.prompt import encode, prepare
from seedx.slides import Slide
from seedx.tiling import Picture, Tiles, thumbnail

POINT = "find {it}"  # what `ground` says
TELL = "tell a story in {n} pictures: {it}"  # what `story` says
DETERMINED = ("the ", "all ", "every ", "each ", "a ", "an ")


def load(
    name: str | Path = "tiny",
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: bool = False,
) -> Pipeline:
    """Load a model for inference.

    Args:
        name: "tiny" (bundled), a folder, or a hub id "organisation/name".
        dtype: of the weights; None: float32 on the CPU, bfloat16 elsewhere.
        max_pixels: pictures with more are refused before they are decoded.
        progress: show a bar on stderr when drawing takes longer than a second.

    Raises:
        SeedxError: no such model, weights that do not fit its config.json, or a device that is not there.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SeedxError(f"torch can't use the device {str(device)!r} here: {str(error).splitlines()[0]}") from error
    return Pipeline(native.load(name, device, dtype), max_pixels=max_pixels, progress=progress)


class Pipeline:
    """A loaded model. Pictures are paths, bytes, open files or PIL pictures, of any size and ratio."""

    def __init__(self, model: native.Model, *, max_pixels: int = MAX_PIXELS, progress: bool = False) -> None:
        self.model, self.max_pixels = model, max_pixels
        self.painter = Painter(model, progress)

    def session(self) -> Session:
        """A conversation of several turns, which keeps its pictures and its cache."""
        return Session(self)

    def chat(self, prompt: str, images: Source | Sequence[Source] = (), **options: Any) -> Reply:
        """One question or wish, with pictures or none. Options and errors are those of `Session.send`."""
        return self.session().send(prompt, images, **options)

    def draw(self, prompt: str, **options: Any) -> PIL.Image.Image:
        """A picture of what the prompt says. Options are the fields of `Settings`: seed, size, steps, guidance..."""
        return self.chat(prompt, drawing="force", **options).images[0]

    def edit(self, image: Source, instruction: str, **options: Any) -> PIL.Image.Image:
        """The picture with one thing changed, at its ratio and about the area that the model draws."""
        return self.chat(instruction, [image], drawing="force", **options).images[0]

    def ground(self, image: Source, phrase: str, **options: Any) -> list[Box]:
        """Where something is: "the dog on the right", "all stars"."""
        said = phrase if phrase.lower().startswith(DETERMINED) or not phrase.strip() else f"the {phrase}"
        text = POINT.format(it=said) if said.strip() else ""
        return self.chat(text, [image], drawing="forbid", **options).boxes

    def reconstruct(self, image: Source, condition: Source | None = None, **options: Any) -> PIL.Image.Image:
        """The picture as its features alone tell it, or, with a condition, with the detail of that picture as well.

        Options are the fields of `DrawSettings`.
        """
        seed = settings_from(DrawSettings, options).seed
        return self.reconstruct_batch([image], None if condition is None else [condition], [seed], **options)[0]

    def story(
        self, prompt: str, frames: int = 5, image: Source | None = None, **options: Any
    ) -> list[tuple[str, PIL.Image.Image]]:
        """A story in sentences and pictures: [(what is told, picture), ...].

        A story that ends with fewer pictures is gone on with from its last one.

        Args:
            prompt: what it is about; with a first picture, what that one shows.
            frames: how many pictures it has; fewer if the model comes to no end within `max_new_tokens`.
            image: the first picture, which is not told again.

        Raises:
            SeedxError: no frames are asked for, or as `chat`.
        """
        if frames < 1:
            raise SeedxError(f"a story has at least one picture, not {frames}")
        said = (TELL if image is None else GO_ON).format(n=frames, it=prompt) if prompt.strip() else ""
        opening = [self.turn(said, () if image is None else (image,))]
        return stories(self.reply_batch, [opening], [frames], **options)[0]

    def slide(self, prompt: str, **options: Any) -> Slide:
        """A slide about what the prompt says, with its picture, as the model wrote it: see `Slide.fitted`. Options are
        the fields of `Settings`.

        Raises:
            SeedxError: as `chat`; and where the answer is no slide, with what was wrong with it.
        """
        return Slide.parse(self.chat(prompt, condition=False, **options).content)

    def chat_batch(self, prompts: Sequence[tuple[str, Sequence[Source]]], **options: Any) -> list[Reply]:
        """Replies to many prompts together; each is what `chat` gives alone. Options are those of `reply_batch`."""
        return self.reply_batch([[self.turn(text, pictures)] for text, pictures in prompts], **options)

    def reply_batch(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        tiling: bool = True,
        drawing: Drawing = "auto",
        condition: bool = True,
        seeds: Sequence[int] | None = None,
        **options: Any,
    ) -> list[Reply]:
        """What comes next in many conversations, together; each may have had any number of turns.

        Args:
            tiling: False: of each picture only the thumbnail is read.
            condition: pictures keep to the last one given or drawn before the reply.
            seeds: one a conversation, in place of the option `seed`.
        """
        settings = settings_from(Settings, options)
        self.painter.check(settings)
        seeds = [settings.seed] * len(conversations) if seeds is None else seeds
        opened = [map_images(each, self.open) for each in conversations]
        answers = generate(
            self.model.seedx,
            self.model.tokenizer,
            [self._whole(each if tiling else map_images(each, self._thumbnail)) for each in opened],
            self.answer_options(settings, seeds, drawing),
        )
        orders = []
        for each, seed, said in zip(opened, seeds, answers, strict=True):
            kept = self.condition(images(each)[-1].image) if condition and images(each) else None
            orders += [Order(features, seed + number, kept) for number, features in enumerate(said.images)]
        drawn = iter(self.painter.paint(orders, settings))
        return [_reply(each, drawn) for each in answers]

    def draw_batch(self, prompts: Sequence[str], seeds: Sequence[int], **options: Any) -> list[PIL.Image.Image]:
        """`draw` for many prompts, a seed each."""
        replies = self.chat_batch([(prompt, ()) for prompt in prompts], drawing="force", seeds=seeds, **options)
        return [reply.images[0] for reply in replies]

    def edit_batch(
        self, pictures: Sequence[Source], instructions: Sequence[str], seeds: Sequence[int], **options: Any
    ) -> list[PIL.Image.Image]:
        """`edit` for many pictures, an instruction and a seed each."""
        prompts = [(text, [picture]) for picture, text in zip(pictures, instructions, strict=True)]
        replies = self.chat_batch(prompts, drawing="force", seeds=seeds, **options)
        return [reply.images[0] for reply in replies]

    def reconstruct_batch(
        self,
        pictures: Sequence[Source],
        conditions: Sequence[Source] | None,
        seeds: Sequence[int],
        **options: Any,
    ) -> list[PIL.Image.Image]:
        """`reconstruct` for many pictures, a seed each, and a condition each or None for all."""
        settings = settings_from(DrawSettings, options)
        opened = [self.open(picture) for picture in pictures]
        kept = [self.open(picture) for picture in conditions] if conditions is not None else [None] * len(opened)
        features = self.painter.features(opened)
        orders = [Order(*order) for order in zip(features, seeds, kept, strict=True)]
        return self.painter.paint(orders, settings)

    def open(self, picture: Source) -> PIL.Image.Image:
        return open_image(picture, max_pixels=self.max_pixels)

    def turn(self, text: str, pictures: Source | Sequence[Source] = ()) -> Message[PIL.Image.Image]:
        """What a user says, its pictures opened.

        Raises:
            SeedxError: nothing is said, or a picture can't be opened.
        """
        if not text.strip():
            raise SeedxError("the prompt is empty: say what you want to know or to see")
        several: Any = pictures if isinstance(pictures, (list, tuple)) else [pictures]
        return user(*(Image(self.open(picture)) for picture in several), text)

    def prompt(self, turn: Message[PIL.Image.Image], after: Message[PIL.Image.Image] | None = None) -> Prompt:
        """A turn as ids and tiles: the first of a conversation, or, after an answer, only what it adds to it.

        Each turn is encoded apart (see `prompt.py`), so the first tokens are those of the answer alone. Its words do
        not matter, since the model has them already, but its pictures do.
        """
        before = [] if after is None else [assistant("", *images([after]))]
        prompt, skip = self._whole([*before, turn]), 0
        if before:
            config, tokenizer = self.model.config, self.model.tokenizer
            known = encode(before, tokenizer, config, tiles=[1] * len(images(before)), for_generation=True)
            assert known is not None
            skip = len(known)
        assert prompt.read_mask is not None
        return Prompt(prompt.ids[skip:], prompt.tiles, prompt.tile_positions, prompt.read_mask[skip:])

    def _whole(self, messages: Sequence[Message[Picture | Tiles]]) -> Prompt:
        """All of a conversation as ids and tiles."""
        model = self.model
        encoded = prepare(messages, model.tokenizer, model.config, for_generation=True)
        assert encoded is not None
        prompt = Prompt.of(encoded)
        tiles = None if prompt.tiles is None else prompt.tiles.to(model.seedx.vision.positions.dtype)
        return Prompt(prompt.ids, tiles, prompt.tile_positions, prompt.read_mask)

    def condition(self, picture: PIL.Image.Image | None) -> PIL.Image.Image | None:
        """The picture, if this model can keep to one."""
        return picture if self.model.config.detokenizer.condition else None

    def answer_options(self, settings: Settings, seed: int | Sequence[int], drawing: Drawing) -> generation.Options:
        return generation.Options(
            max_new_tokens=settings.max_new_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            seed=seed,
            images=drawing,
        )

    def _thumbnail(self, picture: PIL.Image.Image) -> Tiles:
        """The picture's thumbnail as its only tile."""
        pixels = thumbnail(picture, self.model.config.tiling.tile)
        return Tiles(pixels[None], torch.tensor([[0.5, 0.5]]))


def _reply(said: generation.Answer, drawn: Any) -> Reply:
    parts = (Text(part.text) if isinstance(part, generation.Text) else Image(next(drawn)) for part in said.parts)
    return Reply(tuple(parts), said.reason)
