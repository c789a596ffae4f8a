"""Draws or edits the pictures of a benchmark into the files that its scorer reads.

An export can be stopped and resumed: a file appears whole or not at all, existing files are kept, and the seed of a
picture depends on the picture alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Unpack

import PIL.Image
from tqdm import tqdm

from seedx.atomic import replacing_file
from seedx.errors import SeedxError
from seedx.images import Source
from seedx.inference.settings import Options


class ImageModel(Protocol):
    """A model that draws and edits in batches: `inference.pipeline.Pipeline`."""

    def draw_batch(
        self, prompts: Sequence[str], seeds: Sequence[int], **options: Unpack[Options]
    ) -> list[PIL.Image.Image]: ...
    def edit_batch(
        self, pictures: Sequence[Source], instructions: Sequence[str], seeds: Sequence[int], **options: Unpack[Options]
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
    """How many pictures were made, and how many existed."""

    made: int
    kept: int


def export(
    model: ImageModel, works: Iterable[Work], batch: int, progress: bool = False, **options: Unpack[Options]
) -> Count:
    """Make the pictures whose files are missing, `batch` at a time. The seeds are those of the works.

    Raises:
        SeedxError: no batch, a picture that can't be opened, or an option that the model refuses.
    """
    if batch < 1:
        raise SeedxError(f"a batch is at least one picture, not {batch}")
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
    """Write a PNG, and the folders above it; the file appears whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing_file(file) as aside:
        picture.save(aside, format="PNG")


def plain(name: object, where: str) -> str:
    """A name that is safe as that of a file or a folder.

    Raises:
        SeedxError: it is not a string, is empty, or would lead to another folder.
    """
    if not isinstance(name, str) or name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise SeedxError(f"{where}: {name!r} can't name a file: expected a string without slashes")
    return name


def _make(model: ImageModel, works: Sequence[Work], options: Options) -> int:
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
