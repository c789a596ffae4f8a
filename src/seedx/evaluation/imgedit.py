"""Edits for ImgEdit-Bench, from its basic_edit.json and the folder of its original pictures.

    {"1082": {"id": "animal/000342021.jpg", "prompt": "Change the tortoise's shell ...", "edit_type": "adjust"}, ...}

becomes 1082.png and so on: a file is named by the key, while "id" is the path of the original. The layout is that of
PKU-YuanGroup/ImgEdit: Benchmark/Basic/basic_bench_readme.md, as Benchmark/Basic/basic_bench.py reads it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Unpack

from seedx.errors import SeedxError
from seedx.evaluation.export import Count, ImageModel, Work, export, plain
from seedx.inference.settings import Options


def edit(
    model: ImageModel,
    metadata: Path,
    originals: Path,
    out: Path,
    *,
    batch: int = 8,
    progress: bool = False,
    **options: Unpack[Options],
) -> Count:
    """Make every edit, all with the same seed (0 unless given).

    Raises:
        SeedxError: a file that is not ImgEdit's, or an original that is not there.
    """
    seed = options.pop("seed", 0)
    return export(model, _works(metadata, originals, out, seed), batch, progress, **options)


def _works(metadata: Path, originals: Path, out: Path, seed: int) -> list[Work]:
    try:
        edits = json.loads(metadata.read_text(encoding="utf-8"))
        return [
            Work(out / f"{plain(key, str(metadata))}.png", str(each["prompt"]), seed, originals / each["id"])
            for key, each in edits.items()
        ]
    except (json.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        expected = '{"1082": {"id": "animal/000342021.jpg", "prompt": ..., "edit_type": ...}, ...}'
        raise SeedxError(f"{metadata}: expected ImgEdit's {expected} ({type(error).__name__}: {error})") from error
