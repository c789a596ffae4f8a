"""The stages by name, and how a recipe is run.

FOLDER/                the model: parts that stages wrote, where the next ones find them
FOLDER/runs/NAME/      a run: recipe.json, log.jsonl, checkpoints/, samples/, bad_steps.jsonl
"""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import torch

from seedx import plugins
from seedx.config import nearest
from seedx.errors import SeedxError
from seedx.train import recipe as recipes
from seedx.train.engine import components, folders
from seedx.train.engine.loop import train
from seedx.train.engine.parallel import World, close, reported, world
from seedx.train.planning.describe import describe
from seedx.train.recipe import Recipe, load_recipe
from seedx.train.stages.base import Stage

log = logging.getLogger(__name__)

STAGES = {
    "detokenizer": "seedx.train.stages.detokenizer_pictures.PictureStage",
    "condition": "seedx.train.stages.detokenizer_pictures.PictureStage",
    "language": "seedx.train.stages.language.LanguageStage",
}


def run(
    recipe_path: Path,
    folder: Path,
    threads: int | None = None,
    accept_changes: bool = False,
    **changes: object,
) -> bool:
    """Train the stage of a recipe on the model in `folder`, where its weights are written, too.

    The same call goes on from the last checkpoint. Under torchrun it is one process of many.

    Args:
        threads: of the CPU.
        accept_changes: go on although the recipe is not the one that the run began with.

    Returns:
        Whether the run is done; False: it was asked to stop, and saved.

    Raises:
        SeedxError: a mistake in the recipe, a changed one, or as `loop.train`.
    """
    recipe = load_recipe(recipe_path, **changes)
    if threads:
        torch.set_num_threads(threads)
    ranks = world()
    with reported(ranks):
        keep_recipe(recipe, folder / "runs" / recipe.name, accept_changes, ranks)
        done = train(build(recipe, folder), recipe, folder / "runs" / recipe.name, folder, ranks)
        if done and ranks.first:
            complete(recipe, folder)
    close(ranks)
    return done


def look(recipe_path: Path, folder: Path, **changes: object) -> str:
    """What `run` would train, on what; nothing is trained or written but what building the stage needs.

    Raises:
        SeedxError: as `build`.
    """
    recipe = load_recipe(recipe_path, **changes)
    return "\n".join(describe(build(recipe, folder), recipe))


def build(recipe: Recipe, folder: Path) -> Stage:
    """The stage of a recipe, its model's weights read or begun.

    Raises:
        SeedxError: no such stage, a setting that it does not have, or a part that is missing.
    """
    stage = (
        plugins.named(STAGES[recipe.stage]) if recipe.stage in STAGES else plugins.find("seedx.stages", recipe.stage)
    )
    if stage is None:
        known = [*STAGES, *plugins.names("seedx.stages")]
        raise SeedxError(f"there is no stage {recipe.stage!r}{nearest(recipe.stage, known)}")
    return stage(recipe, folder)


def keep_recipe(recipe: Recipe, run: Path, accept: bool, ranks: World) -> None:
    """Hold the recipe against the one that the run began with, and keep it.

    Raises:
        SeedxError: it has changed in what matters, there is a checkpoint of it, and nobody said yes.
    """
    file = run / "recipe.json"
    if file.exists() and folders.steps(run / "checkpoints"):
        changed = recipes.changes(json.loads(file.read_text(encoding="utf-8")), recipe)
        if changed and not accept:
            raise SeedxError(
                f"the recipe is not the one that {run} began with ({'; '.join(changed)}): take the changes back, give "
                "another name, or say --accept-changes to go on from the last checkpoint with them"
            )
        for line in changed if ranks.first else []:
            log.warning("changed in the middle of the run: %s", line)
    ranks.barrier()
    if ranks.first:
        run.mkdir(parents=True, exist_ok=True)
        components.replace_text(file, json.dumps(recipes.as_json(recipe), indent=1) + "\n")


def complete(recipe: Recipe, folder: Path) -> None:
    """After a stage on another model: its other parts come along, so that the folder is a model as it is."""
    if not recipe.model:
        return
    for file in components.source(recipe, folder).iterdir():
        if file.is_file() and not (folder / file.name).exists():
            shutil.copyfile(file, folder / file.name)


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
