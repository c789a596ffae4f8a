"""The table of stages, and how a recipe is run.

FOLDER/                the model: parts that stages write, and the next ones start from
FOLDER/adapters/NAME/  an adapter that the run NAME trained, where its recipe says so
FOLDER/runs/NAME/      a run: recipe.json, shards.json, log.jsonl, checkpoints/, samples/,
                       skipped_steps.jsonl; run.lock while it trains
"""

from __future__ import annotations

import json
import logging
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from seedx import plugins
from seedx.config import nearest
from seedx.data.sources import fingerprints
from seedx.errors import SeedxError
from seedx.train.engine import checkpoint_files, components
from seedx.train.engine.failures import report_failure
from seedx.train.engine.loop import train
from seedx.train.engine.parallel import World, init_distributed, shutdown
from seedx.train.engine.run_lock import run_lock
from seedx.train.old_recipes import upgrade_recipe
from seedx.train.planning.describe import describe
from seedx.train.recipe import Recipe, load_recipe
from seedx.train.recipe_changes import as_json, differences
from seedx.train.stages.base import Stage

log = logging.getLogger(__name__)

# The library's stages; other packages add theirs by entry points of the group seedx.stages.
STAGES = {
    "detokenizer": "seedx.train.stages.detokenizer_pictures.FirstStage",
    "condition": "seedx.train.stages.detokenizer_pictures.SecondStage",
    "language": "seedx.train.stages.language.LanguageStage",
}


def run(
    recipe_path: Path,
    folder: Path,
    threads: int | None = None,
    accept_changes: bool = False,
    **changes: object,
) -> bool:
    """Train the stage of a recipe, and write its weights into the model in `folder`.

    The same call resumes from the last checkpoint. Under torchrun this process is one of the ranks.

    Args:
        threads: of the CPU.
        accept_changes: resume although the recipe is not the one that the run started with.

    Returns:
        Whether training is complete; False: it was stopped after a checkpoint.

    Raises:
        SeedxError: a mistake in the recipe, a changed recipe, or as `loop.train`.
    """
    recipe = load_recipe(recipe_path, **changes)
    if threads:
        torch.set_num_threads(threads)
    ranks = init_distributed()
    place = folder / "runs" / recipe.name
    with report_failure(ranks), run_lock(place) if ranks.first else nullcontext():
        store_recipe(recipe, place, accept_changes, ranks)
        if ranks.first:
            note_changed_shards(recipe, place)
        done = train(build(recipe, folder), recipe, place, folder, ranks)
        if done and ranks.first and not recipe.adapter:
            copy_other_parts(recipe, folder)
    shutdown(ranks)
    return done


def dry_run(recipe_path: Path, folder: Path, **changes: object) -> str:
    """Describe what `run` would train, and on what data. Nothing is trained.

    Raises:
        SeedxError: as `build`.
    """
    recipe = load_recipe(recipe_path, **changes)
    return "\n".join(describe(build(recipe, folder), recipe))


def build(recipe: Recipe, folder: Path) -> Stage:
    """The stage of a recipe, with its initial weights.

    Raises:
        SeedxError: no such stage, an option that it does not have, or a missing part.
    """
    stage = stage_named(recipe.stage)
    if recipe.adapter and not hasattr(stage, "save_adapter"):
        raise SeedxError(f"the stage {recipe.stage!r} trains no adapters: leave adapter out of the recipe")
    if recipe.prompts and not hasattr(stage, "replies"):
        raise SeedxError(f"the stage {recipe.stage!r} answers nothing: leave [[prompts]] out of the recipe")
    made: Stage = stage(recipe, folder)
    return made


def stage_named(name: str) -> Any:
    """The class of a stage.

    Raises:
        SeedxError: no such stage.
    """
    own = STAGES.get(name)
    stage = plugins.named(own) if own else plugins.find("seedx.stages", name)
    if stage is None:
        raise SeedxError(f"there is no stage {name!r}{nearest(name, [*STAGES, *plugins.names('seedx.stages')])}")
    return stage


def store_recipe(recipe: Recipe, run: Path, accept_changes: bool, ranks: World) -> None:
    """Write the recipe into the folder of its run.

    Raises:
        SeedxError: the run has a checkpoint of another recipe, and the changes are not accepted.
    """
    file = run / "recipe.json"
    if file.exists() and checkpoint_files.steps(run / "checkpoints"):
        before = upgrade_recipe(json.loads(file.read_text(encoding="utf-8")), str(file))
        changed = differences(before, recipe)
        if changed and not accept_changes:
            raise SeedxError(
                f"the recipe is not the one that {run} started with ({'; '.join(changed)}): undo the changes, give the "
                "run another name, or resume from its last checkpoint with --accept-changes"
            )
        for line in changed if ranks.first else []:
            log.warning("changed during the run: %s", line)
    ranks.barrier()
    if ranks.first:
        run.mkdir(parents=True, exist_ok=True)
        components.replace_text(file, json.dumps(as_json(recipe), indent=1) + "\n")


def note_changed_shards(recipe: Recipe, run: Path) -> None:
    """Warn of local files of the data that changed since the run was last started: samples that are read again may be
    others. Their sizes and times are in shards.json."""
    file, now = run / "shards.json", fingerprints([data.source for data in recipe.data])
    if file.exists() and checkpoint_files.steps(run / "checkpoints"):
        before = json.loads(file.read_text(encoding="utf-8"))
        changed = [path for path in now if path in before and before[path] != now[path]]
        if changed:
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            log.warning("the data changed since the last checkpoint: %s%s; the run resumes on it", changed[0], more)
    if now:
        components.replace_text(file, json.dumps(now) + "\n")


def copy_other_parts(recipe: Recipe, folder: Path) -> None:
    """If the stage started from another model, copy its other parts, so that the folder is a whole model."""
    components.copy_missing(components.source(recipe, folder, runs=True).folder, folder)


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
