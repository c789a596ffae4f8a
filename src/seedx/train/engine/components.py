"""The parts of a model's folder as the stages read and write them: strict about names and shapes."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from seedx.checkpoint import native, weights
from seedx.checkpoint.hub import locate
from seedx.checkpoint.parts import part_state
from seedx.config import PRESETS, Config, nearest
from seedx.errors import SeedxError
from seedx.train.engine.parallel import current_world
from seedx.train.recipe import Recipe

log = logging.getLogger(__name__)
RUN = "run:"  # of `Recipe.init_from`


@dataclass(frozen=True)
class Origin:
    """Where the initial weights of a part come from, for people.

    Attributes:
        tensors, trained: numbers of its tensors, and of those that train.
    """

    part: str
    text: str
    tensors: int
    trained: int


@dataclass(frozen=True)
class Source:
    """Where a stage's initial weights come from, as `Recipe.init_from` says.

    Attributes:
        folder: of the model that has the frozen parts.
        config: the model's sizes.
        init: "" (weights of the trained folder, if it has them), "scratch", "run" or "model" (another one).
        run: the folder of the run.
        origins: by part, where its initial weights come from, as `find` and `found` have noted.
    """

    folder: Path
    config: Config
    init: str
    run: Path | None = None
    origins: dict[str, str] = field(default_factory=dict, compare=False)

    def find(self, *names: str) -> str | None:
        """The first of these files of weights that the stage is to start from; None: newly initialise them.

        A model that the recipe names must have one of them: reading the first one is then an error that says so.
        """
        found = None
        if self.init in ("", "model"):
            found = next((name for name in names if has(self.folder, name)), None)
        if found is None and self.init == "model":
            found = names[0]
        self.found(found or names[0], found)
        return found

    def found(self, part: str, name: str | None) -> None:
        """Note where the weights of a part come from: the file `name`; None: they are new."""
        self.origins[part] = f"{self.folder}/{name}" if name else "newly initialised"
        if current_world().first:
            log.info("initial weights of %s: %s", part, self.origins[part])

    def origin(self, part: str, parameters: Mapping[str, nn.Parameter], text: str = "") -> Origin:
        """The origin of a part's parameters by name."""
        trained = sum(parameter.requires_grad for parameter in parameters.values())
        return Origin(part, text or self.origins.get(part, "newly initialised"), len(parameters), trained)


def source(recipe: Recipe, folder: Path, runs: bool = False) -> Source:
    """What `recipe.init_from` says of a stage that trains the model in `folder`.

    Args:
        runs: whether the stage can start from one of its earlier runs.

    Raises:
        SeedxError: no such model or preset, or a run where none can be taken.
    """
    init = recipe.init_from
    if init.startswith(RUN):
        if not runs:
            raise SeedxError(
                f"init_from = {init!r}: the stage {recipe.stage!r} keeps no weights with its runs; leave "
                "init_from out to start from those in the folder"
            )
        name = init.removeprefix(RUN)
        if Path(name).name != name:  # as of `Recipe.name`
            raise SeedxError(f"init_from = {init!r}: a run is named by one name, without slashes")
        run = folder / "runs" / name
        return Source(folder, config_of(folder, recipe.config), "run", run)
    if init in ("", "scratch"):
        return Source(folder, config_of(folder, recipe.config), init)
    found = locate(init)
    return Source(found, config_of(found, recipe.config), "model")


def config_of(folder: Path, preset: str) -> Config:
    """Sizes: those of the model in the folder, or of a preset if it has no config.json yet.

    Raises:
        SeedxError: there is no such preset.
    """
    if (folder / "config.json").is_file():
        return native.read_config(folder)
    if preset not in PRESETS:
        raise SeedxError(f"config must be the name of a preset, not {preset!r}{nearest(preset, PRESETS)}")
    return PRESETS[preset]


def has(folder: Path, name: str) -> bool:
    """Whether a part is in the folder, in one file or in several."""
    return bool(weights.find(folder, name))


@torch.no_grad()
def read(module: nn.Module, folder: Path, part: str, name: str = "", sharded: bool = False) -> None:
    """Load a part of a folder into its module, one tensor at a time. A module on the meta device gets its memory.

    Args:
        part: as in `checkpoint.parts.modules`.
        name: of the file, where it is not the part's.
        sharded: whether `parallel.shard` will shard it, so that a rank needs only its shard. With several ranks, the
            parameters of a module on the meta device then become views of the file, in its precision: nothing is read
            yet.

    Raises:
        SeedxError: the file is missing, or holds other names or shapes.
    """
    expected = part_state(part, module)
    views = {key for key, _ in module.named_parameters()} if sharded and current_world().size > 1 else set()
    found: dict[str, Tensor] = {}
    for key, tensor in native.read_part(folder, name or part, expected).items():
        if expected[key].is_meta:
            found[key] = tensor if key in views else tensor.to(expected[key].dtype, copy=True)
        else:
            expected[key].copy_(tensor)
    module.load_state_dict(found, strict=False, assign=True)


def write(module: nn.Module, folder: Path, part: str, name: str = "") -> None:
    """Write a part where `read` finds it."""
    folder.mkdir(parents=True, exist_ok=True)
    weights.write(folder, name or part, part_state(part, module))


def replace_text(file: Path, text: str) -> None:
    """Write a small file so that a reader, or a kill, never sees half of it."""
    aside = file.with_name(f"{file.name}.{os.getpid()}.part")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, file)


def copy_missing(source: Path, target: Path) -> None:
    """Copy the files of a model folder, but not of parts that the target has, in one file or in several."""
    present = {_part(file) for file in target.iterdir()}
    for file in source.iterdir() if source.is_dir() else ():
        if file.is_file() and _part(file) not in present:
            shutil.copyfile(file, target / file.name)


def _part(file: Path) -> str:
    """ "language-00001.safetensors" -> "language"; other files have their own names."""
    return re.sub(r"(-\d{5}.*)?\.safetensors.*", "", file.name)
