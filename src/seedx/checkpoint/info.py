"""Parameters and memory of a model by module, counted without memory for its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from seedx.checkpoint.hub import bundled, locate
from seedx.checkpoint.native import read_config
from seedx.checkpoint.parts import build, modules, part_state
from seedx.config import PRESETS, Config
from seedx.terminal import new_table

# Module, the part that holds it, and what its names start with; the first that fits counts.
MODULES = (
    ("visual tokenizer", "vision", ""),
    ("input resampler", "bridge", "input_resampler."),
    ("output resampler", "bridge", "output_resampler."),
    ("tile positions", "bridge", "tile_positions"),
    ("language embeddings", "language", "llm.model.embed_tokens."),
    ("language head", "language", "llm.lm_head."),
    ("language blocks", "language", ""),
    ("de-tokenizer resampler", "detokenizer", "resampler."),
    ("de-tokenizer U-Net", "detokenizer", "unet."),
    ("de-tokenizer VAE", "vae", ""),
)


@dataclass(frozen=True)
class Row:
    """
    Attributes:
        parameters: number of stored values, fixed positions included.
        full, half: bytes in float32, and as loaded on a GPU: bfloat16, but for the VAE, which stays float32.
    """

    module: str
    parameters: int
    full: int
    half: int


def info(name: str | Path) -> list[Row]:
    """One row for each module and a last one, "total", of a preset ("17b", "tiny"), a folder or a hub id.

    Raises:
        SeedxError: no such model.
    """
    counts = {module: 0 for module, _, _ in MODULES}
    for part, module in modules(*build(_config(name))).items():
        for key, tensor in part_state(part, module).items():
            counts[_module(part, key)] += tensor.numel()
    rows = [Row(key, n, 4 * n, 4 * n if key.endswith("VAE") else 2 * n) for key, n in counts.items()]
    total = Row("total", sum(r.parameters for r in rows), sum(r.full for r in rows), sum(r.half for r in rows))
    return [*rows, total]


def table(rows: list[Row]) -> Table:
    made = new_table("module", "parameters", "float32", "bfloat16")
    for row in rows:
        made.add_row(row.module, f"{row.parameters:,}", _size(row.full), _size(row.half))
    return made


def _config(name: str | Path) -> Config:
    """A preset by its name, unless the model of that name is bundled."""
    if str(name) in PRESETS and bundled(str(name)) is None:
        return PRESETS[str(name)]
    return read_config(locate(name))


def _module(part: str, key: str) -> str:
    return next(module for module, home, prefix in MODULES if home == part and key.startswith(prefix))


def _size(size: int) -> str:
    value, unit = float(size), "B"
    for larger in ("KB", "MB", "GB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if unit != "B" else f"{size} B"
