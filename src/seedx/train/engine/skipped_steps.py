"""Steps that are skipped because their loss or gradient is not finite: written to a file; too many end the run."""

from __future__ import annotations

import json
from pathlib import Path

from seedx.errors import SeedxError
from seedx.train.engine.parallel import World
from seedx.train.recipe import Recipe


class SkippedSteps:
    """
    Attributes:
        total: of the whole run.
        in_a_row: since the last step that was not skipped.
    """

    def __init__(self, run: Path, recipe: Recipe, world: World) -> None:
        self.file, self.recipe, self.world = run / "skipped_steps.jsonl", recipe, world
        self.total = self.in_a_row = 0

    def note(self, step: int, finite: bool, values: dict[str, float], keys: list[str]) -> None:
        """Count a step, and write a skipped one with its samples to the file. A collective.

        Raises:
            SeedxError: `recipe.max_skipped_steps` were skipped in a row.
        """
        if finite:
            self.in_a_row = 0
            return
        self.total += 1
        self.in_a_row += 1
        keys = [key for rank in self.world.gather(keys) for key in rank]
        if self.world.first:
            note = {"step": step, **{name: repr(value) for name, value in values.items()}, "samples": keys}
            with self.file.open("a", encoding="utf-8") as notes:
                notes.write(json.dumps(note) + "\n")
        if self.in_a_row >= self.recipe.max_skipped_steps:
            raise SeedxError(
                f"{self.recipe.name}: {self.in_a_row} steps in a row were skipped: their loss or gradient is not "
                f"finite. The last is step {step}. Look at their samples, which are named in {self.file}, or lower "
                "lr. The last checkpoint is kept"
            )
