"""The parts of a model's folder as the stages read and write them: strict about names and shapes."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor, nn

from seedx.checkpoint import native, weights
from seedx.checkpoint.hub import locate
from seedx.checkpoint.parts import part_state
from seedx.config import PRESETS, Config, nearest
from seedx.errors import SeedxError
from seedx.train.engine.parallel import here
from seedx.train.recipe import Recipe


def source(recipe: Recipe, folder: Path) -> Path:
    """Where a stage's parts are read: the model that the recipe starts from, or the folder that is trained."""
    return locate(recipe.model) if recipe.model else folder


def config_of(folder: Path, preset: str) -> Config:
    """Sizes: those of the model in the folder, or of a preset where there is none yet.

    Raises:
        SeedxError: there is no such preset.
    """
    if (folder / "config.json").is_file():
        return native.read_config(folder)
    if preset not in PRESETS:
        raise SeedxError(f"there is no preset {preset!r}{nearest(preset, PRESETS)}")
    return PRESETS[preset]


def has(folder: Path, name: str) -> bool:
    """Whether a part is in the folder, in one file or in several."""
    return bool(weights.find(folder, name))


@torch.no_grad()
def read(module: nn.Module, folder: Path, part: str, name: str = "", spread: bool = False) -> None:
    """Load a part of a folder into its module, one tensor at a time. A module on the meta device gets memory by it.

    Args:
        part: as in `checkpoint.parts.modules`.
        name: of the file, where it is not the part's.
        spread: `parallel.shard` will spread it, so that a rank needs only its share. With several ranks, the parameters
            of a module on the meta device then become views of the file, in its precision: nothing is read yet.

    Raises:
        SeedxError: the file is missing, or holds other names or shapes.
    """
    expected = part_state(part, module)
    views = {key for key, _ in module.named_parameters()} if spread and here().size > 1 else set()
    found: dict[str, Tensor] = {}
    for key, tensor in native.read_part(folder, name or part, expected).items():
        if expected[key].is_meta:
            found[key] = tensor if key in views else tensor.to(expected[key].dtype, copy=True)
        else:
            expected[key].copy_(tensor)
    module.load_state_dict(found, strict=False, assign=True)


def write(module: nn.Module, folder: Path, part: str, name: str = "") -> None:
    """Store a part as `read` finds it again."""
    folder.mkdir(parents=True, exist_ok=True)
    weights.write(folder, name or part, part_state(part, module))


def replace_text(file: Path, text: str) -> None:
    """Write a small file so that a reader, or a kill, never sees half of it."""
    aside = file.with_name(f"{file.name}.{os.getpid()}.part")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, file)
