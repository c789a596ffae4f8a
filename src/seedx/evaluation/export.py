"""Draws or edits what a benchmark asks for, into files, where its own scorer looks for them.

An export can be stopped at any time: a file appears whole or not at all, one that is there is kept, and the seed of a
picture depends on the picture alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import PIL.Image
from tqdm import tqdm

from seedx.atomic import replacing_file
from seedx.errors import SeedxError
from seedx.images import Source


class Painter(Protocol):
    """What an export asks of a model: two batched verbs of `pipeline.py`."""

    def draw_batch(self, prompts: Sequence[str], seeds: Sequence[int], **options: Any) -> list[PIL.Image.Image]: ...
    def edit_batch(
        self, pictures: Sequence[Source], instructions: Sequence[str], seeds: Sequence[int], **options: Any
    ) -> list[PIL.Image.Image]: ...


@dataclass(frozen=True)
class Work:
    """One picture to make. `source`: the picture to edit; None: it is drawn."""

    file: Path
    prompt: str
    seed: int
    source: Source | None = None


@dataclass(frozen=True)
class Count:
    """How many pictures were made, and how many were there."""

    made: int
    kept: int


def export(model: Painter, works: Iterable[Work], batch: int, progress: bool = False, **options: Any) -> Count:
    """Make what is not there yet, `batch` pictures at a time. Options are the fields of `Settings`.

    Raises:
        SeedxError: no batch, a picture that can't be opened, or what the model's verbs refuse.
    """
    if batch < 1:
        raise SeedxError(f"a batch has at least one picture, not {batch}")
    made = kept = 0
    waiting: list[Work] = []
    for work in tqdm(works, unit="picture", disable=not progress):
        if work.file.exists():
            kept += 1
            continue
        waiting.append(work)
        if len(waiting) == batch:
            made += _make(model, waiting, options)
            waiting = []
    return Count(made + _make(model, waiting, options), kept)


def save(picture: PIL.Image.Image, file: Path) -> None:
    """Write a PNG and its folders; a file that is there is always whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing_file(file) as aside:
        picture.save(aside, format="PNG")


def plain(name: object, where: str) -> str:
    """A name that makes a file or a folder of its own.

    Raises:
        SeedxError: it is not a text, is empty, or would lead elsewhere.
    """
    if not isinstance(name, str) or name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise SeedxError(f"{where}: {name!r} can't name a file: a text without slashes is expected")
    return name


def _make(model: Painter, works: Sequence[Work], options: dict[str, Any]) -> int:
    drawn = [work for work in works if work.source is None]
    edited = [(work, work.source) for work in works if work.source is not None]
    if drawn:
        pictures = model.draw_batch([work.prompt for work in drawn], [work.seed for work in drawn], **options)
        for work, picture in zip(drawn, pictures, strict=True):
            save(picture, work.file)
    if edited:
        prompts, seeds = [work.prompt for work, _ in edited], [work.seed for work, _ in edited]
        pictures = model.edit_batch([source for _, source in edited], prompts, seeds, **options)
        for (work, _), picture in zip(edited, pictures, strict=True):
            save(picture, work.file)
    return len(works)
