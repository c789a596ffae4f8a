"""`seedx eval export`: images for benchmarks that have a scorer of their own."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any, Literal

from seedx.errors import SeedxError
from seedx.inference.settings import Settings
from seedx.verbs.options import SETTINGS, TINY, Source
from seedx.verbs.output import file_errors


def eval_export(
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
    settings: Settings = SETTINGS,
) -> None:
    """Draw or edit the images of GenEval, ImgEdit or GEdit-Bench in the layout that its scorer reads.

    Run the same command again to resume.

    Args:
        suite: the benchmark.
        metadata: evaluation_metadata.jsonl of GenEval, basic_edit.json of ImgEdit, or GEdit-Bench's Parquet files.
        out: folder to write the images to.
        originals: for ImgEdit, the folder of the images to edit.
        samples: for GenEval, the number of images per prompt.
        languages: for GEdit-Bench, the languages of the instructions.
        batch: number of images made at a time.
    """
    from seedx.evaluation import gedit, geneval, imgedit

    if not metadata.exists():
        raise SeedxError(f"there is no {str(metadata)!r}")
    if suite == "imgedit" and originals is None:
        raise SeedxError("imgedit edits images: give their folder as --originals")
    model = source.load(progress=False)  # there is one bar for all images
    options: dict[str, Any] = {"batch": batch, "progress": sys.stderr.isatty(), **dataclasses.asdict(settings)}
    with file_errors():
        if suite == "geneval":
            count = geneval.draw(model, metadata, out, samples=samples, **options)
        elif suite == "imgedit":
            assert originals is not None
            count = imgedit.edit(model, metadata, originals, out, **options)
        else:
            count = gedit.edit(model, metadata, out, languages=languages, **options)
    print(f"{out}: {count.made} images made, {count.kept} already there")
