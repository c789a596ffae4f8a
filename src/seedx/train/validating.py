"""The `[validation]` table of a recipe; `engine/validation.py` runs it."""

from __future__ import annotations

from dataclasses import dataclass

from seedx.checks import integer
from seedx.data.shard_reader import Data
from seedx.errors import SeedxError


@dataclass(frozen=True)
class Validating:
    """The `[validation]` table of a recipe.

    Attributes:
        every: steps between validations; 0: none.
        samples: documents of the data that are read at most.
        data: held-out data, as `[[data]]`.
        keep_best: save a checkpoint whenever the loss is the lowest so far, and keep it: `seedx export RUN@best`.
        patience: stop after so many validations in a row that are not the best; 0: never.
    """

    every: int = 0
    samples: int = 200
    data: tuple[Data, ...] = ()
    keep_best: bool = True
    patience: int = 0

    def __post_init__(self) -> None:
        for name in ("every", "samples", "patience"):
            integer(f"validation.{name}", getattr(self, name), 0)
        if self.every and not self.data:
            raise SeedxError("validation needs data: give at least one [[validation.data]] table")
        if self.every and not self.samples:
            raise SeedxError("validation.samples must be at least 1")
