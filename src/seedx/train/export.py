"""A model folder or an adapter from a run's checkpoint, at any time: the run may be complete, stopped or still running.

A run (FOLDER/runs/NAME) trains some parts of the model in FOLDER. Their weights come from the checkpoint; whatever the
run did not train comes from the model that it started from and from FOLDER.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Literal

from seedx.checkpoint import native, parts
from seedx.checkpoint.adapters import CONFIG, write_adapter
from seedx.config import from_dict
from seedx.errors import SeedxError
from seedx.model.language import Language
from seedx.train.engine import checkpoint_files, components
from seedx.train.engine.checkpointing import load_weights
from seedx.train.old_recipes import upgrade_recipe
from seedx.train.recipe import Recipe
from seedx.train.run import build
from seedx.train.stages.base import Stage


def export(
    run: Path,
    target: Path,
    step: int | Literal["best"] | None = None,
    ema: bool = True,
    keep_adapter: bool = False,
) -> tuple[int, list[str]]:
    """Write the model of a run's checkpoint, or its adapter. An older one in `target` is replaced.

    Args:
        run: FOLDER/runs/NAME.
        step: of the checkpoint; None: the newest; "best": that of the best score, by validation if the run has it.
        ema: take the averaged weights, if the run has them.
        keep_adapter: what LoRA has learnt is not merged but written to adapters/NAME in `target`; what was trained in
            full (norms, embeddings, resamplers) is part of the model.

    Returns:
        The step, and the parts that neither the run nor its model folder has: without them the model can't be loaded.

    Raises:
        SeedxError: no such run or checkpoint, a broken one, or adapters that the model folder has merged already.
    """
    recipe, folder = _recipe(run), run.resolve().parent.parent
    checkpoint = _checkpoint(run, step)
    found = int(checkpoint.name.removeprefix("step-"))
    source = components.source(recipe, folder, runs=True)
    if recipe.lora and source.folder == folder and found == recipe.steps:
        raise SeedxError(f"{run} is finished and its adapters are merged into {folder}: copy that folder instead")
    if keep_adapter and not recipe.lora:
        raise SeedxError(f"{run} has no lora = true: there is no adapter to keep apart")
    if (target / "runs").exists():
        raise SeedxError(f"{target} holds training runs, which would be lost: give another folder")
    stage = build(recipe, folder)
    load_weights(checkpoint, stage.model, average=ema)
    if recipe.adapter:
        save_adapter(stage, target)
        return found, []
    with native.replacing(target) as aside:
        if keep_adapter:
            language: Language = stage.model.get_submodule("language")  # type: ignore[assignment]
            updates, weights = language.take_lora(), language.llm
            write_adapter(aside / "adapters" / recipe.name, "language", updates, weights, base=str(target))
        stage.save(stage.model, aside)
        shutil.rmtree(aside / "runs", ignore_errors=True)  # notes of a stage for later runs
        for place in (folder, source.folder):
            components.copy_missing(place, aside)
        if not (aside / "config.json").is_file():  # a stage that changes it has written its own
            native.write_config(source.config, aside)
        missing = [part for part in parts.modules(*parts.build(source.config)) if not components.has(aside, part)]
    return found, missing


def save_adapter(stage: Stage, target: Path) -> None:
    """
    Raises:
        SeedxError: `target` holds something else.
    """
    if target.exists() and not (target / CONFIG).is_file() and any(target.iterdir()):
        raise SeedxError(f"{str(target)!r} is not empty and holds no adapter; give another folder, or empty it")
    stage.save_adapter(stage.model, target)  # type: ignore[attr-defined]  # of a stage that trains one: see `build`


def _recipe(run: Path) -> Recipe:
    file = run / "recipe.json"
    if not file.is_file():
        raise SeedxError(f"{str(run)!r} is not a run: expected recipe.json there, as in runs/tiny/runs/vision")
    return from_dict(Recipe, upgrade_recipe(json.loads(file.read_text(encoding="utf-8")), str(file)))


def _checkpoint(run: Path, step: int | Literal["best"] | None) -> Path:
    saved = checkpoint_files.steps(run / "checkpoints")
    if step == "best":
        step = checkpoint_files.best(run / "checkpoints")
    if not saved or (step is not None and step not in saved):
        there = f"steps {', '.join(map(str, saved))}" if saved else "none"
        raise SeedxError(f"{run} has no checkpoint{'' if step is None else f' of step {step}'}; there are: {there}")
    path = checkpoint_files.path(run / "checkpoints", saved[-1] if step is None else step)
    if problem := checkpoint_files.problem(path):
        raise SeedxError(f"{path} is broken: {problem}; give another step with {run}@STEP")
    return path
