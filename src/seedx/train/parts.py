"""The parts of a model's folder as the stages read and write them: strict about names and shapes."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import nn

from seedx import checkpoint
from seedx.config import PRESETS, Config, nearest
from seedx.train.recipe import Recipe


def source(recipe: Recipe, folder: Path) -> Path:
    """Where a stage's parts are read: the model that the recipe starts from, or the folder that is trained."""
    return checkpoint.locate(recipe.model) if recipe.model else folder


def config_of(folder: Path, preset: str) -> Config:
    """Sizes: those of the model in the folder, or of a preset where there is none yet.

    Raises:
        ValueError: there is no such preset.
    """
    if (folder / "config.json").is_file():
        return checkpoint.read_config(folder)
    if preset not in PRESETS:
        raise ValueError(f"there is no preset {preset!r}{nearest(preset, PRESETS)}")
    return PRESETS[preset]


@torch.no_grad()
def read(module: nn.Module, folder: Path, part: str, name: str = "") -> None:
    """Load a part of a folder into its module, one tensor at a time.

    Args:
        part: as in `checkpoint.modules`.
        name: of the file, where it is not the part's.

    Raises:
        ValueError: the file is missing, or holds other names or shapes.
    """
    expected = checkpoint.part_state(part, module)
    stored = checkpoint.read(folder, name or part)
    for key, tensor in checkpoint.checked(stored, expected, f"{folder.name}/{name or part}"):
        expected[key].copy_(tensor)


def write(module: nn.Module, folder: Path, part: str, name: str = "") -> None:
    """Store a part as `read` finds it again."""
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint.write(folder, name or part, checkpoint.part_state(part, module).items())


def replace_text(file: Path, text: str) -> None:
    """Write a small file so that a reader, or a kill, never sees half of it."""
    aside = file.with_name(f"{file.name}.{os.getpid()}.part")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, file)
