"""Drawings for GenEval, from its evaluation_metadata.jsonl: a JSON object with "tag", "include" and "prompt" a line.

    00000/metadata.jsonl          the line itself
    00000/samples/0000.png ...    the drawings
    00000/grid.png                the same side by side, for people
    00001/...

The layout is that of djghosh13/geneval: README.md ("Image generation"), as evaluation/evaluate_images.py reads it. All
prompts have the same seeds, as in its generation/diffusers_generate.py.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import PIL.Image

from seedx.errors import SeedxError
from seedx.evaluation.export import Count, Painter, Work, export, save

SAMPLES = 4  # of a prompt, as in the paper's results


def draw(
    model: Painter,
    metadata: Path,
    out: Path,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    batch: int = 8,
    progress: bool = False,
    **options: Any,
) -> Count:
    """Draw every prompt `samples` times, with the seeds `seed`, `seed` + 1 and so on.

    Raises:
        SeedxError: a line that is not GenEval's, no samples, or a folder made for other prompts.
    """
    if samples < 1:
        raise SeedxError(f"a prompt needs at least one sample, not {samples}")
    lines = metadata.read_text(encoding="utf-8").rstrip("\n").split("\n")
    prompts = [_prompt(line, f"{metadata}:{number}") for number, line in enumerate(lines, 1)]
    works = []
    for number, (prompt, line) in enumerate(zip(prompts, lines, strict=True)):
        folder = out / f"{number:05d}"
        _claim(folder / "metadata.jsonl", line)
        files = (folder / "samples" / f"{sample:04d}.png" for sample in range(samples))
        works += [Work(file, prompt, seed + sample) for sample, file in enumerate(files)]
    count = export(model, works, batch, progress, **options)
    for first in works[::samples]:
        _grid(first.file.parent)
    return count


def _prompt(line: str, where: str) -> str:
    try:
        prompt = json.loads(line)["prompt"]
    except (ValueError, KeyError, TypeError) as error:
        raise SeedxError(
            f'{where}: a JSON object with "tag", "include" and "prompt" is expected, not {line!r}'
        ) from error
    return str(prompt)


def _claim(file: Path, line: str) -> None:
    """Keep the line with its drawings.

    Raises:
        SeedxError: the drawings in this folder are of another line.
    """
    if file.exists():
        if file.read_text(encoding="utf-8").strip() != line.strip():
            raise SeedxError(f"{file} holds another prompt than the metadata does: export into an empty folder")
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(line + "\n", encoding="utf-8")


def _grid(folder: Path) -> None:
    """All drawings of a folder on one picture beside it, about as many rows as columns."""
    pictures = [PIL.Image.open(file) for file in sorted(folder.glob("*.png"))]
    wide, high = pictures[0].size
    columns = math.ceil(math.sqrt(len(pictures)))
    grid = PIL.Image.new("RGB", (columns * wide, math.ceil(len(pictures) / columns) * high))
    for number, picture in enumerate(pictures):
        grid.paste(picture, (number % columns * wide, number // columns * high))
    save(grid, folder.parent / "grid.png")
