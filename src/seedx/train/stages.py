"""The stages by name, and how one is run."""

from __future__ import annotations

import importlib
from pathlib import Path

import torch

from seedx.train.loop import train
from seedx.train.recipe import load_recipe

STAGES = {
    "vision": "seedx.train.vision.VisionStage",
    "vae": "seedx.train.vae.VaeStage",
    "detokenizer": "seedx.train.detokenizer.DetokenizerStage",
    "condition": "seedx.train.detokenizer.ConditionStage",
    "language": "seedx.train.language.LanguageStage",
}


def run(recipe_path: Path, folder: Path, threads: int | None = None, **changes: object) -> None:
    """Train the stage of a recipe on the model in `folder`, where its weights are written, too.

    The run's log and checkpoints are in `folder/runs/NAME`; the same call goes on from the last checkpoint.
    """
    recipe = load_recipe(recipe_path, **changes)
    if recipe.stage not in STAGES:
        raise ValueError(f"there is no stage {recipe.stage!r}; there are: {', '.join(STAGES)}")
    if threads:
        torch.set_num_threads(threads)
    module, name = STAGES[recipe.stage].rsplit(".", 1)
    stage = getattr(importlib.import_module(module), name)(recipe, folder)
    train(stage, recipe, folder / "runs" / recipe.name, folder)


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
