"""Parameters and memory of a model by module, counted without memory for its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from seedx.checkpoint import native, weights
from seedx.checkpoint.hub import bundled, locate
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
    ("de-tokenizer, other stage", "other", ""),
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

    The other stage of the de-tokenizer counts where the folder holds it; with a preset it does, as in the release.

    Raises:
        SeedxError: no such model.
    """
    config, both = sizes_of(name)
    counts = {module: 0 for module, _, _ in MODULES}
    parts = modules(*build(config)).items()
    if both:
        other = {key: t for key, t in native.other_stage(config).state_dict().items() if not key.startswith("vae.")}
        counts["de-tokenizer, other stage"] = sum(tensor.numel() for tensor in other.values())
    for part, module in parts:
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


def sizes_of(name: str | Path) -> tuple[Config, bool]:
    """The config, and whether the model has both stages of the de-tokenizer. A preset by its name, unless the model of
    that name is bundled.

    Raises:
        SeedxError: no such model.
    """
    if str(name) in PRESETS and bundled(str(name)) is None:
        return PRESETS[str(name)], True
    folder = locate(name)
    config = native.read_config(folder)
    return config, bool(weights.find(folder, native.other_name(config)))


def _module(part: str, key: str) -> str:
    return next(module for module, home, prefix in MODULES if home == part and key.startswith(prefix))


def _size(size: int) -> str:
    value, unit = float(size), "B"
    for larger in ("KB", "MB", "GB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if unit != "B" else f"{size} B"
