"""The `[[prompts]]` of a recipe: what the model is asked every `sample_every` steps, and how the answers are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seedx.checks import integer
from seedx.errors import SeedxError, shorten
from seedx.inference.reply import Reply
from seedx.messages import Text


@dataclass(frozen=True)
class SamplePrompt:
    """A `[[prompts]]` table.

    Attributes:
        text: what is asked.
        images: files of pictures that come before the text.
        max_new_tokens: the longest answer, the tokens of its pictures included.
    """

    text: str
    images: tuple[str, ...] = ()
    max_new_tokens: int = 200

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise SeedxError(f"prompts need a text to ask, not {shorten(self.text)}")
        if not isinstance(self.images, tuple) or not all(isinstance(image, str) for image in self.images):
            raise SeedxError(f"images of a prompt are a list of files, not {shorten(self.images)}")
        integer("max_new_tokens of a prompt", self.max_new_tokens, 1)

    @property
    def shown(self) -> str:
        return " ".join([*(f"[{image}]" for image in self.images), self.text])


def write(prompts: Sequence[SamplePrompt], replies: Sequence[Reply], stem: Path) -> list[tuple[str, str]]:
    """Write STEM.md, and a file for each picture of an answer: STEM-1.png and so on.

    Returns:
        Each prompt and its answer, as in STEM.md: a drawn picture is the name of its file in brackets.
    """
    rows, drawn = [], 0
    for prompt, reply in zip(prompts, replies, strict=True):
        answer = []
        for part in reply.content:
            if isinstance(part, Text):
                answer.append(part.text.strip())
                continue
            drawn += 1
            name = f"{stem.name}-{drawn}.png"
            part.image.save(stem.with_name(name))
            answer.append(f"[{name}]")
        rows.append((prompt.shown, " ".join(filter(None, answer)) or "(nothing)"))
    text = "".join(f"**{asked}**\n\n{answer}\n\n" for asked, answer in rows)
    stem.with_suffix(".md").write_text(text, encoding="utf-8")
    return rows
