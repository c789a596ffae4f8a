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
from typing import Unpack

import PIL.Image

from seedx.errors import SeedxError
from seedx.evaluation.export import Count, ImageModel, Work, export, save
from seedx.inference.settings import Options

SAMPLES = 4  # of a prompt, as in the paper's results


def draw(
    model: ImageModel,
    metadata: Path,
    out: Path,
    *,
    samples: int = SAMPLES,
    batch: int = 8,
    progress: bool = False,
    **options: Unpack[Options],
) -> Count:
    """Draw every prompt `samples` times, with the seeds `seed` (0 unless given), `seed` + 1 and so on.

    Raises:
        SeedxError: a line that is not GenEval's, no samples, or a folder made for other prompts.
    """
    if samples < 1:
        raise SeedxError(f"a prompt needs at least one sample, not {samples}")
    lines = metadata.read_text(encoding="utf-8").rstrip("\n").split("\n")
    prompts = [_prompt(line, f"{metadata}:{number}") for number, line in enumerate(lines, 1)]
    works: list[Work] = []
    seed = options.pop("seed", 0)
    for number, (prompt, line) in enumerate(zip(prompts, lines, strict=True)):
        folder = out / f"{number:05d}"
        _write_line(folder / "metadata.jsonl", line)
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
        raise SeedxError(f'{where}: expected a JSON object with "tag", "include" and "prompt", not {line!r}') from error
    return str(prompt)


def _write_line(file: Path, line: str) -> None:
    """Write the line beside its drawings.

    Raises:
        SeedxError: the folder has the drawings of another line.
    """
    if file.exists():
        if file.read_text(encoding="utf-8").strip() != line.strip():
            raise SeedxError(f"{file} has another prompt than the metadata: export into an empty folder")
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(line + "\n", encoding="utf-8")


def _grid(folder: Path) -> None:
    """All drawings of a folder in one picture beside it, with about as many rows as columns."""
    pictures = [PIL.Image.open(file) for file in sorted(folder.glob("*.png"))]
    wide, high = pictures[0].size
    columns = math.ceil(math.sqrt(len(pictures)))
    grid = PIL.Image.new("RGB", (columns * wide, math.ceil(len(pictures) / columns) * high))
    for number, picture in enumerate(pictures):
        grid.paste(picture, (number % columns * wide, number // columns * high))
    save(grid, folder.parent / "grid.png")
