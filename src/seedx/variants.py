"""What each model was trained to be asked: the one home of prompts, grids, stages and conditions by model.

`Config.variant` names an entry of `VARIANTS`. The released models were tuned apart, and each was trained on one form of
every task: another form still gives a reply, only a worse one. In the texts {it} is what the user says.

The forms of the released models are those of the release's inference scripts (AILab-CVC/SEED-X, src/inference; for
SEED-Story TencentARC/SEED-Story). docs/reference/variants.md shows them as they are written, made from this file.
Standard library only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from seedx.config import Config, Template, nearest
from seedx.errors import SeedxError
from seedx.messages import Image, Message, P, system, user

DETERMINED = ("the ", "all ", "every ", "each ", "a ", "an ")  # how a phrase begins that needs no article

Verb = Literal["chat", "caption", "draw", "edit", "ground", "story", "story_more"]


@dataclass(frozen=True)
class VerbPrompt:
    """How one verb asks.

    Attributes:
        text: {it} is what the user says, {n} the number of a story's pictures.
        document: written as it is, without the chat template, like a document of pre-training.
        at_once: the reply starts with an image.
        article: a phrase without an article or "all" gets "the".
    """

    text: str = "{it}"
    document: bool = False
    at_once: bool = False
    article: bool = False

    def message(self, it: str, pictures: Sequence[P] = (), n: int = 1) -> Message[P]:
        """What is sent to the model: the pictures, then the words."""
        if self.article and not it.lower().startswith(DETERMINED):
            it = f"the {it}"
        words = self.text.format(it=it, n=n)
        if self.document and self.at_once:
            words = words.rstrip()  # as before any added token: `<img>` follows
        parts: list[Image[P] | str] = [Image(picture) for picture in pictures]
        parts += [words] if words else []
        return system(*parts) if self.document else user(*parts)


INST = Template("[INST] ", "\n[INST] ", " [/INST]\n")  # of Llama 2, without its system prompt


@dataclass(frozen=True)
class Variant:
    """One way to be asked.

    Attributes:
        title: the model's name, for people.
        template: around a user's turn.
        caption, draw, edit, ground, story: how these verbs ask. `chat` is the template around the user's own words.
        story_more: how a story that ended early is continued.
        grids: the only grids for pictures that are read; None: those of `config.tiling`.
        edit_grids: the same for the picture of `edit`.
        conditions: an image drawn keeps the detail of the last picture before the reply, unless the user says
            otherwise.
        edits: the model was tuned to edit.
        free_stage: the stage of the de-tokenizer that draws without a condition, if the model has both. With a
            condition it is always the second.
        bracketed: boxes are written in [[ ]].
        window: a story is told in rounds of a sentence and an image, and the prompt holds so many pictures, its last
            ones; None: in one reply.
        story_mark: what the model writes before every text of such a story but the first.
        language: there is a language model. Without one the model has a visual tokenizer and a de-tokenizer, to
            reconstruct pictures, and `language` and `bridge` of its config mean nothing.
        planned: a new tokenizer has the tokens of plans, and the model then plans each image before it draws.
        fold_case: the model reads what a user says in small letters, so that any case reads alike.
        bilinear: `reconstruct` reads its picture resized bilinearly, as the release's transform does; else as pictures
            are read (bicubic).
    """

    title: str
    template: Template = INST
    caption: VerbPrompt = VerbPrompt("Describe this image.")
    draw: VerbPrompt = VerbPrompt()
    edit: VerbPrompt = VerbPrompt()
    ground: VerbPrompt = VerbPrompt()
    story: VerbPrompt = VerbPrompt()
    story_more: VerbPrompt = VerbPrompt()
    grids: tuple[str, ...] | None = None
    edit_grids: tuple[str, ...] | None = None
    conditions: bool = False
    edits: bool = False
    free_stage: Literal["first", "second"] = "first"
    bracketed: bool = False
    window: int | None = None
    story_mark: str = ""
    language: bool = True
    planned: bool = False
    fold_case: bool = False
    bilinear: bool = True

    def prompt(self, verb: Verb) -> VerbPrompt:
        prompt: VerbPrompt = VerbPrompt() if verb == "chat" else getattr(self, verb)
        return prompt

    def written(self, verb: Verb) -> str:
        """The prompt of a verb as text, {img} standing for the picture in the form that is read."""
        prompt = self.prompt(verb)
        text = ("" if verb == "draw" or verb == "story" else "{img}") + prompt.text
        if not prompt.document:
            text = self.template.start + text + self.template.end
        return text + ("<img>" if prompt.at_once else "")


OWN = Variant(
    title="our own models",
    caption=VerbPrompt("describe the picture"),
    ground=VerbPrompt("find {it}", article=True),
    story=VerbPrompt("tell a story in {n} pictures: {it}"),
    story_more=VerbPrompt("{it} go on with this story in {n} pictures"),
    conditions=True,
    edits=True,
    free_stage="second",
    bilinear=False,
)
VARIANTS = {
    "tiny": OWN,
    "folded": dataclasses.replace(
        OWN, title="our own models that read small letters and plan", planned=True, fold_case=True
    ),
    "seed_x": Variant(
        title="SEED-X",
        template=Template("Question: ", "\nQuestion: ", "\nAnswer:"),
        caption=VerbPrompt("", document=True),
        draw=VerbPrompt(document=True, at_once=True),
        ground=VerbPrompt("{it} [[ <box_start>", document=True),
        bracketed=True,
    ),
    "seed_x_i": Variant(
        title="SEED-X-I",
        draw=VerbPrompt("Generate an image: {it}"),
        edit_grids=("1x1",),
        bracketed=True,
    ),
    "seed_x_edit": Variant(
        title="SEED-X-Edit", grids=("1x1",), edit_grids=("1x1",), conditions=True, edits=True, bracketed=True
    ),
    "seed_story": Variant(
        title="SEED-Story",
        template=Template("", "", ""),
        caption=VerbPrompt("", document=True),
        draw=VerbPrompt(document=True, at_once=True),
        window=8,
        story_mark="[INST]",
    ),
    "detokenizer": Variant(title="SEED-X's de-tokenizer", language=False),
}


def variant_of(config: Config) -> Variant:
    """The variant of a model, with the model's own template if it has one.

    Raises:
        SeedxError: an unknown name, with the nearest known one.
    """
    if config.variant not in VARIANTS:
        raise SeedxError(f"unknown variant {config.variant!r}{nearest(config.variant, VARIANTS)}")
    variant = VARIANTS[config.variant]
    return dataclasses.replace(variant, template=config.template) if config.template else variant
