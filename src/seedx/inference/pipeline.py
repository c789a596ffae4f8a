"""The verbs: chat, draw, edit, ground, reconstruct, story, slide; `batches.py` has those for many rows together.

All but reconstruct are conversations of one turn through the engine. They differ in the prompt, which is the one that
the model was trained on (`seedx.variants`), and in whether an image must come.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Unpack

import PIL.Image
import torch

from seedx.checkpoint import native
from seedx.checkpoint.model_card import push
from seedx.checkpoint.parts import Model
from seedx.checks import integer
from seedx.errors import SeedxError
from seedx.images import Pictures, Source
from seedx.inference.image_batches import Batches
from seedx.inference.loading import LoadOptions, load_engine
from seedx.inference.reply import Reply
from seedx.inference.rounds import tell
from seedx.inference.session import Session
from seedx.inference.settings import (
    ImageDrawing,
    ImageOptions,
    Options,
    ReplyOptions,
    Settings,
    settings_from,
)
from seedx.inference.stories import stories
from seedx.messages import Box
from seedx.slides import Slide
from seedx.variants import Verb


def load(name: str | Path = "tiny", **options: Unpack[LoadOptions]) -> Pipeline:
    """Load a model for inference: "tiny" (bundled), a folder, or a hub id "organisation/name".

    Raises:
        SeedxError: no such model, weights that do not fit its config.json, a device that is not there, or an adapter
            that is none or another model's.
    """
    return Pipeline(load_engine(name, **options))


class Pipeline(Batches):
    """A loaded model. Pictures are paths, bytes, open files or PIL pictures, of any size and ratio."""

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
        return self.caption_batch([image], **options)[0]

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
        return self.ground_batch([image], [phrase], **options)[0]

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
        window: int | None = None,
        sink: bool = False,
        **options: Unpack[Options],
    ) -> list[tuple[str, PIL.Image.Image]]:
        """A story in sentences and images: [(sentence, image), ...].

        A story that ends with fewer images is continued from its last one. SEED-Story tells in rounds of one sentence
        and one image, each a reply of its own (`inference/rounds.py`).

        Args:
            prompt: what it is about; with a first picture, what that one shows. For SEED-Story, its first sentence.
            frames: how many images it has; fewer if a reply does not end within `max_new_tokens`.
            image: the first picture, which is not part of the result.
            drawing: "now": each reply starts with an image.
            window: for SEED-Story: pictures that its prompt holds, the last ones; None: 8.
            sink: for SEED-Story: the tokens around the pictures that left the window stay in its cache, for stories
                longer than those of its training.

        Raises:
            SeedxError: less than one frame, a window or a sink for another model, or as `chat`.
        """
        if integer("frames", frames) < 1:
            raise SeedxError(f"a story has at least one picture, not {frames}")
        if self.engine.variant.window is not None:
            opened, adapter = None if image is None else self.open(image), options.pop("adapter", None)
            rounds = tell(
                self.engine,
                prompt,
                opened,
                window=window,
                sink=sink,
                drawing=drawing,
                settings=settings_from(Settings, options),
                adapter=adapter,
            )
            return list(itertools.islice(rounds, frames))
        if window is not None or sink:
            raise SeedxError(
                f"{self.engine.variant.title} tells a story in one reply: window and sink are for SEED-Story, which "
                "tells it in rounds; leave them out"
            )
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
