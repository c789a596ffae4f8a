"""The verb that makes pictures for other people's scorers."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any, Literal

from seedx.errors import SeedxError
from seedx.inference.settings import Settings
from seedx.verbs.shared import TINY, Source

ANSWER = Settings()


def export(
    suite: Literal["geneval", "imgedit", "gedit"],
    metadata: Path,
    /,
    *,
    out: Path,
    originals: Path | None = None,
    samples: int = 4,
    languages: tuple[Literal["en", "cn"], ...] = ("en", "cn"),
    batch: int = 8,
    source: Source = TINY,
    settings: Settings = ANSWER,
) -> None:
    """Draw or edit what GenEval, ImgEdit or GEdit-Bench asks for, where its own scorer looks.

    The same call goes on where it stopped.

    Args:
        suite: whose layout.
        metadata: evaluation_metadata.jsonl of GenEval, basic_edit.json of ImgEdit, or GEdit-Bench's Parquet files.
        out: folder of the pictures.
        originals: of ImgEdit, folder of the pictures to edit.
        samples: of GenEval, drawings of each prompt.
        languages: of GEdit-Bench, those of the instructions.
        batch: pictures at a time.
    """
    from seedx.evaluation import gedit, geneval, imgedit

    if not metadata.exists():
        raise SeedxError(f"there is no {str(metadata)!r}")
    if suite == "imgedit" and originals is None:
        raise SeedxError("imgedit edits pictures: give their folder as --originals")
    model = source.load()
    model.engine.image_decoder.progress = False  # there is one bar for all
    options: dict[str, Any] = {"batch": batch, "progress": sys.stderr.isatty(), **dataclasses.asdict(settings)}
    if suite == "geneval":
        count = geneval.draw(model, metadata, out, samples=samples, **options)
    elif suite == "imgedit":
        assert originals is not None
        count = imgedit.edit(model, metadata, originals, out, **options)
    else:
        count = gedit.edit(model, metadata, out, languages=languages, **options)
    print(f"{out}: {count.made} pictures made, {count.kept} were there")
