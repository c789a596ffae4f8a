"""Where the curves and samples of a run go besides log.jsonl: TensorBoard's files, or Weights & Biases."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import PIL.Image

from seedx.errors import MissingPackageError
from seedx.train.recipe import Recipe
from seedx.train.recipe_changes import as_json


class Tracker(Protocol):
    def numbers(self, values: Mapping[str, float], step: int) -> None: ...

    def picture(self, name: str, picture: PIL.Image.Image, step: int) -> None: ...

    def answers(self, name: str, rows: Sequence[tuple[str, str]], step: int) -> None:
        """Prompts and their answers."""

    def close(self) -> None: ...


class Nothing:
    def numbers(self, values: Mapping[str, float], step: int) -> None:
        pass

    def picture(self, name: str, picture: PIL.Image.Image, step: int) -> None:
        pass

    def answers(self, name: str, rows: Sequence[tuple[str, str]], step: int) -> None:
        pass

    def close(self) -> None:
        pass


class TensorBoard:
    """Files in RUN/tensorboard; what a resumed run repeats is removed."""

    def __init__(self, run: Path, start: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.board = SummaryWriter(str(run / "tensorboard"), purge_step=start or None)

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self.board.add_scalar(name, value, step)

    def picture(self, name: str, picture: PIL.Image.Image, step: int) -> None:
        self.board.add_image(name, np.array(picture), step, dataformats="HWC")

    def answers(self, name: str, rows: Sequence[tuple[str, str]], step: int) -> None:
        self.board.add_text(name, "".join(f"**{prompt}**\n\n{answer}\n\n" for prompt, answer in rows), step)

    def close(self) -> None:
        self.board.close()


class WeightsAndBiases:
    """A run of the project "seedx", with the recipe as its config; a resumed run goes on under the same id.

    WANDB_PROJECT, WANDB_MODE=offline and the like act as everywhere; offline, files are in RUN/wandb.
    """

    def __init__(self, run: Path, recipe: Recipe) -> None:
        import os

        import wandb

        name = hashlib.sha256(str(run.resolve()).encode()).hexdigest()[:16]
        project = os.environ.get("WANDB_PROJECT", "seedx")
        self.run: Any = wandb.init(
            project=project, name=recipe.name, id=name, resume="allow", dir=str(run), config=as_json(recipe)
        )
        self.image, self.table = wandb.Image, wandb.Table

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        self.run.log(dict(values), step=step)

    def picture(self, name: str, picture: PIL.Image.Image, step: int) -> None:
        self.run.log({name: self.image(picture)}, step=step)

    def answers(self, name: str, rows: Sequence[tuple[str, str]], step: int) -> None:
        self.run.log({name: self.table(columns=["prompt", "answer"], data=[list(row) for row in rows])}, step=step)

    def close(self) -> None:
        self.run.finish()


def open_tracker(run: Path, recipe: Recipe, start: int) -> Tracker:
    """The tracker that a recipe asks for.

    Raises:
        MissingPackageError: its package is not installed; of "auto" that is no error.
    """
    kind = recipe.tracker
    try:
        if kind == "wandb":
            return WeightsAndBiases(run, recipe)
        return Nothing() if kind == "none" else TensorBoard(run, start)
    except ImportError as error:
        if kind == "auto":
            return Nothing()
        raise MissingPackageError(f'tracker = "{kind}" needs its package: pip install "seedx[{kind}]"') from error
