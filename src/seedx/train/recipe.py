"""A recipe: one stage of training as data, read from a TOML file.

    name = "tune"
    stage = "language"
    steps = 520
    lr = 8e-4

    [[data]]
    source = "stickers:conversation"
    weight = 0.3

Every field can be changed from outside by its path: `lr`, `data.0.weight`, `options.start`.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from seedx.config import from_dict, nearest
from seedx.data.shard_reader import Data
from seedx.errors import SeedxError

# What may change between a run and its continuation without asking: none of it changes what is learnt.
FREE = ("replicas", "workers", "log_every", "sample_every", "save_seconds", "keep", "max_faults", "max_bad_steps")


@dataclass(frozen=True)
class Recipe:
    """
    Attributes:
        name: of the run's folder.
        stage: a name in `stages.STAGES`.
        preset: sizes of a model that starts from nothing.
        model: what to start from: "tiny", a folder or a hub id; "": the parts that are in the folder that is trained.
        batch: rows of the global batch: what one step of the optimiser learns from, on all ranks together.
        micro: rows of one forward on one rank; 0: all that the rank has.
        trained: patterns of parameter names; empty: what the stage trains by itself.
        lora: train adapters in the language model's blocks instead of their weights.
        losses: weights by name; those left out are the stage's own.
        lr_factors: factors of `lr` by pattern of parameter names; the first that matches counts.
        warmup: steps of linear warm-up.
        min_ratio: the learning rate's last value, as a share of `lr`.
        clip: norm that gradients are scaled down to.
        ema: decay of the averaged weights, which are what is written in the end; 0: none are kept.
        bf16: compute in bfloat16, weights stay as they are.
        checkpointing: keep no activations inside the blocks, compute them again: less memory, a third more time.
        compile: the blocks by torch.compile.
        replicas: sharded copies of the model, one in each of as many groups of ranks (HSDP): as many as there are
            machines keep the gathering of weights within them. 1: a single one over all ranks.
        row: tokens of a packed row.
        streams: of the data; a multiple of ranks x workers. It fixes the order, so a run keeps its number.
        workers: processes of each rank that make batches; 0: the training process itself.
        too_long: what happens to a document that is longer than a row.
        max_faults: the largest share of bad samples before the run stops.
        max_bad_steps: steps in a row with a loss or gradient that is not finite before the run stops.
        log_every, sample_every: steps; 0: no samples.
        save_seconds: between checkpoints.
        keep: the newest checkpoints that stay, besides the best.
        options: the stage's own.
    """

    name: str
    stage: str
    preset: str = "tiny"
    model: str = ""
    seed: int = 0
    steps: int = 1000
    batch: int = 32
    micro: int = 0
    trained: tuple[str, ...] = ()
    lora: bool = False
    losses: dict[str, float] = field(default_factory=dict)
    lr: float = 1e-3
    lr_factors: dict[str, float] = field(default_factory=dict)
    warmup: int = 100
    min_ratio: float = 0.05
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    clip: float = 1.0
    ema: float = 0.0
    bf16: bool = True
    checkpointing: bool = False
    compile: bool = False
    replicas: int = 1
    row: int = 256
    streams: int = 16
    workers: int = 0
    too_long: Literal["drop", "cut"] = "drop"
    max_faults: float = 0.05
    max_bad_steps: int = 10
    log_every: int = 20
    sample_every: int = 0
    save_seconds: float = 120.0
    keep: int = 2
    data: tuple[Data, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, hint in typing.get_type_hints(Recipe).items():
            _check(name, hint, getattr(self, name))
        for name in ("steps", "batch", "replicas", "row", "streams", "log_every"):
            if getattr(self, name) < 1:
                raise SeedxError(f"{name} is at least 1, not {getattr(self, name)}")

    def micro_rows(self, ranks: int) -> int:
        """Rows of one forward.

        Raises:
            SeedxError: the batch can't be dealt evenly.
        """
        if self.batch % ranks:
            raise SeedxError(f"batch = {self.batch} must be a multiple of the {ranks} ranks")
        rows = self.batch // ranks
        if self.micro and rows % self.micro:
            raise SeedxError(f"micro = {self.micro} must divide the {rows} rows that each of {ranks} ranks has")
        return self.micro or rows

    def shards(self, ranks: int) -> int:
        """Ranks that hold one copy of the model between them.

        Raises:
            SeedxError: the ranks can't hold `replicas` copies.
        """
        if ranks % self.replicas:
            raise SeedxError(f"{ranks} ranks can't hold {self.replicas} replicas: give a number that divides them")
        return ranks // self.replicas


def load_recipe(path: Path, **changes: Any) -> Recipe:
    """Read a TOML file; `changes` take the place of its fields, by their paths ("data.0.weight").

    Raises:
        SeedxError: no such file, not TOML, an unknown field (with the nearest), or a value that can't be.
    """
    if not path.exists():
        raise SeedxError(f"there is no recipe at {path}")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SeedxError(f"{path} is not TOML: {error}") from error
    for name, value in changes.items():
        _place(values, name, value)
    missing = [name for name in ("name", "stage") if name not in values]
    if missing:
        raise SeedxError(f"{path} has no {missing[0]!r}: a recipe needs a name and a stage")
    return from_dict(Recipe, values)


def changes(before: Mapping[str, Any], recipe: Recipe) -> list[str]:
    """What differs from an earlier recipe as a dictionary, one line a field; what is in `FREE` does not count."""
    now = as_json(recipe)
    old = {**now, **before}
    return [f"{name}: {old[name]!r} -> {now[name]!r}" for name in now if name not in FREE and now[name] != old[name]]


def as_json(recipe: Recipe) -> dict[str, Any]:
    """As `changes` takes it, and as JSON gives it back."""
    return _plain(dataclasses.asdict(recipe))


def chosen(own: Mapping[str, float], given: Mapping[str, float], what: str) -> dict[str, float]:
    """The stage's own settings by name, with those given in their place.

    Raises:
        SeedxError: a name that the stage does not have.
    """
    for name in given:
        if name not in own:
            raise SeedxError(f"unknown {what} {name!r}{nearest(name, own)}")
    return {**own, **given}


def _place(values: dict[str, Any], path: str, value: Any) -> None:
    """Set `values` at "data.0.weight"; dictionaries on the way are made, places in lists must be there."""
    *way, last = path.split(".")
    at: Any = values
    for depth, name in enumerate(way):
        key = _key(at, name, path, way[:depth])
        at = at.setdefault(key, {}) if isinstance(at, dict) else at[key]
    at[_key(at, last, path, way)] = value


def _key(at: Any, name: str, path: str, way: list[str]) -> Any:
    """What finds `name` in a dictionary, or a list.

    Raises:
        SeedxError: it is neither, or a list without that place.
    """
    if isinstance(at, list):
        if not name.isdigit() or int(name) >= len(at):
            raise SeedxError(f"{path}: {'.'.join(way)} has places 0 to {len(at) - 1}, not {name!r}")
        return int(name)
    if not isinstance(at, dict):
        raise SeedxError(f"{path}: {'.'.join(way)} holds {at!r}, which has no fields")
    return name


def _check(name: str, hint: Any, value: Any) -> None:
    """Plain values are of their type; a number without a point will do for a float."""
    if typing.get_origin(hint) is Literal:
        if value not in typing.get_args(hint):
            raise SeedxError(f"{name} is one of {', '.join(map(repr, typing.get_args(hint)))}, not {value!r}")
        return
    wanted = {int: (int,), float: (int, float), bool: (bool,), str: (str,)}.get(hint)
    if wanted and (not isinstance(value, wanted) or (isinstance(value, bool) and hint is not bool)):
        raise SeedxError(f"{name} is a value of type {hint.__name__}, not {value!r}")
    whole = typing.get_origin(hint) or hint
    if whole in (dict, tuple) and not isinstance(value, whole) and not isinstance(hint, types.UnionType):
        kind = "a table" if whole is dict else "a list"
        raise SeedxError(f"{name} is {kind}, not {value!r}")


def _plain(value: Any) -> Any:
    """Tuples as lists, as JSON has them."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value
