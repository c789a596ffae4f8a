"""Trains and measures the variants of a claim, except those that have a result of the same experiment.

ROOT/models/...   the model of a variant during its training; an interrupted training resumes from its checkpoint
ROOT/cache/...    features and latents that variants share
ROOT/logs/...     the log of each training
ROOT/results/...  see `results.py`
"""

from __future__ import annotations

import functools
import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedx.checkpoint import native
from seedx.train.recipe import load_recipe
from seedx.train.run import run as train
from seedx_stickers.claims import results
from seedx_stickers.claims.claim import Claim, Measured, Training, Variant
from seedx_stickers.claims.init_variant import init_variant, load_variant

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reduced:
    """A reduced run, for a smoke test or an estimate of the time.

    Attributes:
        steps: of every training.
        n: examples of every measurement.
        scenes: encoded for the de-tokenizer.
        batch: the batch size of every training; None: the recipe's.
    """

    steps: int = 2
    n: int = 2
    scenes: int = 8
    batch: int | None = 2


@dataclass(frozen=True)
class Workspace:
    """The folders of a run: its outputs (`root`), the recipes and the base model. `threads` are CPU threads."""

    root: Path
    recipes: Path
    base: Path
    threads: int = 1
    reduced: Reduced | None = None

    def key(self, claim: Claim, variant: Variant) -> str:
        """The key of the experiment with a variant."""
        return results.key(claim, variant, self.recipes, self.base_digest, self.reduced)

    @functools.cached_property
    def base_digest(self) -> str:
        return results.digest(self.base)

    def result(self, claim: Claim, variant: Variant, seed: int) -> results.Result | None:
        """The result of the experiment; None if there is none, or only one with another key."""
        found = results.read(results.path(self.root, claim, variant, seed))
        return found if found and found.key == self.key(claim, variant) else None


def run(claim: Claim, seeds: tuple[int, ...], workspace: Workspace) -> bool:
    """Make the missing results of a claim; False: a training was asked to stop and has saved a checkpoint."""
    for seed in seeds:
        for variant in claim.variants:
            if workspace.result(claim, variant, seed):
                continue
            log.info("claim %d, seed %d: %s", claim.number, seed, variant.name)
            if not run_variant(claim, variant, seed, workspace):
                return False
    return True


def run_variant(claim: Claim, variant: Variant, seed: int, workspace: Workspace) -> bool:
    """Train and measure one variant, and write its result; False: stopped with a checkpoint."""
    start, folder = time.monotonic(), workspace.base
    if not variant.is_base:
        name = f"{claim.number}-{results.slug(variant.name)}-{seed}-{workspace.key(claim, variant)}"
        folder = workspace.root / "models" / name
        if not (folder / "config.json").is_file():
            init_variant(variant, seed, workspace.base, folder)
        _share_cache(folder, workspace.root)
        if not all(_train(training, folder, seed, workspace) for training in variant.trainings):
            return False
    measured = measure(claim, variant, folder, seed, workspace)
    minutes = (time.monotonic() - start) / 60
    results.write(results.path(workspace.root, claim, variant, seed), workspace.key(claim, variant), measured, minutes)
    if folder != workspace.base:
        _keep_logs(folder, workspace.root / "logs")
        shutil.rmtree(folder)
    return True


def measure(claim: Claim, variant: Variant, folder: Path, seed: int, workspace: Workspace) -> Measured:
    """All measurements of a claim on one model."""
    model, whole = load_variant(folder), Measured()
    for measurement in claim.measurements:
        n = workspace.reduced.n if workspace.reduced else measurement.n
        part = measurement.run(model, seed, n, **{**measurement.options, **variant.options})
        whole.scores |= part.scores
        whole.samples += part.samples
    return whole


def changes(training: Training, seed: int, workspace: Workspace) -> dict[str, Any]:
    """The changes of a training's recipe."""
    changed: dict[str, Any] = {**training.changes, "seed": seed}
    if reduced := workspace.reduced:
        changed |= {"steps": reduced.steps, "warmup_steps": 1, "log_every": 1}
        changed |= {} if reduced.batch is None else {"global_batch_size": reduced.batch, "streams": reduced.batch}
        if load_recipe(workspace.recipes / f"{training.recipe}.toml").stage == "condition-scenes":
            changed["options.scenes"] = reduced.scenes
    return changed


def _train(training: Training, folder: Path, seed: int, workspace: Workspace) -> bool:
    return train(
        workspace.recipes / f"{training.recipe}.toml", folder, workspace.threads, **changes(training, seed, workspace)
    )


def _share_cache(folder: Path, root: Path) -> None:
    """Let all variants with the same pooling share the cache of encoded scenes."""
    cache = root / "cache" / f"pool-{native.read_config(folder).vision.pool}"
    cache.mkdir(parents=True, exist_ok=True)
    if not (folder / "cache").exists():
        (folder / "cache").symlink_to(cache.resolve(), target_is_directory=True)


def _keep_logs(folder: Path, kept: Path) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("runs/*/log.jsonl"):
        shutil.copyfile(file, kept / f"{folder.name}-{file.parent.name}.jsonl")
