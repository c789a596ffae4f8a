"""Edits for GEdit-Bench, from the Parquet files of its data set, stepfun-ai/GEdit-Bench.

    fullset/background_change/en/KEY.png           the edit
    fullset/background_change/en/KEY_SRCIMG.png    the picture that it is compared with, from the data set

under results/NAME, where NAME is that of the model. The layout is that of stepfun-ai/Step1X-Edit:
GEdit-Bench/generate_image_example.py (which fields make it) and GEdit-Bench/EVAL.md (which folder it is). The edit is
of "input_image_raw", as in that example; the scorer resizes it to the other one. Needs the extra `seedx[data]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Unpack

from seedx.data.parquet import ParquetRows
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError
from seedx.errors import SeedxError
from seedx.evaluation.export import Count, ImageModel, Work, export, plain, save
from seedx.images import open_image
from seedx.inference.settings import Options

LANGUAGES = ("en", "cn")  # of the instructions


def edit(
    model: ImageModel,
    data: Path,
    out: Path,
    *,
    languages: Sequence[str] = LANGUAGES,
    batch: int = 8,
    progress: bool = False,
    **options: Unpack[Options],
) -> Count:
    """Make every edit whose instruction is in one of the languages, all with the same seed (0 unless given).

    Args:
        data: a Parquet file, or a folder of them.

    Raises:
        SeedxError: no such files, rows that are not GEdit-Bench's, or an unknown language.
    """
    if unknown := set(languages) - set(LANGUAGES):
        raise SeedxError(f"the instructions are in {' and '.join(LANGUAGES)}, not in {unknown.pop()!r}")
    files = [data] if data.is_file() else sorted(data.rglob("*.parquet"))
    if not files:
        raise SeedxError(f"{data}: expected a Parquet file of stepfun-ai/GEdit-Bench, or a folder of them")
    seed = options.pop("seed", 0)
    return export(model, _works(files, out, languages, seed), batch, progress, **options)


def _works(files: Sequence[Path], out: Path, languages: Sequence[str], seed: int) -> Iterator[Work]:
    """Lazily: the pictures of a row are in memory with it."""
    for path in files:
        for _, row in ParquetRows(str(path), str(path)).read():
            try:
                if isinstance(row, SampleError):
                    raise row
                work = _work(row, out, seed) if row.fields["instruction_language"] in languages else None
            except (SampleError, KeyError) as error:
                raise SeedxError(f"{path}: expected rows of stepfun-ai/GEdit-Bench ({error!r})") from error
            if work:
                yield work


def _work(row: Record, out: Path, seed: int) -> Work:
    """The edit of a row. Writes the picture that it is compared with."""
    fields = row.fields
    task, language, key = (plain(fields[name], row.where) for name in ("task_type", "instruction_language", "key"))
    folder = out / "fullset" / task / language
    compared = folder / f"{key}_SRCIMG.png"
    if not compared.exists():
        save(open_image(row.image(fields["input_image"])), compared)
    return Work(folder / f"{key}.png", fields["instruction"], seed, row.image(fields["input_image_raw"]))
