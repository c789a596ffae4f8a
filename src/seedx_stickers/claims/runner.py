"""Runs variants one after the other, each once: a result that is there already, of the same experiment, stays.

ROOT/models/...   a variant's model while it is trained; a run that was stopped goes on from its checkpoint
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
from seedx.inference import pipeline
from seedx.train.recipe import load_recipe
from seedx.train.run import run as train
from seedx_stickers.claims import results
from seedx_stickers.claims.claim import Claim, Measured, Training, Variant
from seedx_stickers.claims.init_variant import begin

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cut:
    """A run made small: to try it, or to see how long it takes.

    Attributes:
        steps: of every training.
        n: examples of every measurement.
        scenes: encoded for the de-tokenizer.
        batch: of every training; None: the recipe's.
    """

    steps: int = 2
    n: int = 2
    scenes: int = 8
    batch: int | None = 2


@dataclass(frozen=True)
class Place:
    """Where things are: what is made, the recipes, the model that variants begin as. `threads` are of the CPU."""

    root: Path
    recipes: Path
    source: Path
    threads: int = 1
    cut: Cut | None = None

    def key(self, claim: Claim, variant: Variant) -> str:
        """Of the experiment that a variant is here."""
        return results.key(claim, variant, self.recipes, self.model, self.cut)

    @functools.cached_property
    def model(self) -> str:
        """The digest of the model that variants begin as."""
        return results.digest(self.source)

    def result(self, claim: Claim, variant: Variant, seed: int) -> results.Result | None:
        """What is there of this very experiment."""
        found = results.read(results.path(self.root, claim, variant, seed))
        return found if found and found.key == self.key(claim, variant) else None


def run(claim: Claim, seeds: tuple[int, ...], place: Place) -> bool:
    """Make what is missing of a claim's results; False: a training was asked to stop, and saved."""
    for seed in seeds:
        for variant in claim.variants:
            if place.result(claim, variant, seed):
                continue
            log.info("row %d, seed %d: %s", claim.number, seed, variant.name)
            if not run_variant(claim, variant, seed, place):
                return False
    return True


def run_variant(claim: Claim, variant: Variant, seed: int, place: Place) -> bool:
    """Train and measure one variant, and write its result; False: stopped and saved."""
    start, folder = time.monotonic(), place.source
    if not variant.as_trained:
        name = f"{claim.number}-{results.slug(variant.name)}-{seed}-{place.key(claim, variant)}"
        folder = place.root / "models" / name
        if not (folder / "config.json").is_file():
            begin(variant, seed, place.source, folder)
        _share_cache(folder, place.root)
        if not all(_train(training, folder, seed, place) for training in variant.trainings):
            return False
    measured = measure(claim, variant, folder, seed, place)
    minutes = (time.monotonic() - start) / 60
    results.write(results.path(place.root, claim, variant, seed), place.key(claim, variant), measured, minutes)
    if folder != place.source:
        _keep_logs(folder, place.root / "logs")
        shutil.rmtree(folder)
    return True


def measure(claim: Claim, variant: Variant, folder: Path, seed: int, place: Place) -> Measured:
    """All measurements of a claim on one model."""
    model, whole = pipeline.load(folder), Measured()
    for measurement in claim.measurements:
        n = place.cut.n if place.cut else measurement.n
        part = measurement.run(model, seed, n, **{**measurement.options, **variant.options})
        whole.scores |= part.scores
        whole.samples += part.samples
    return whole


def changes(training: Training, seed: int, place: Place) -> dict[str, Any]:
    """What is not as the recipe says."""
    changed: dict[str, Any] = {**training.changes, "seed": seed}
    if cut := place.cut:
        changed |= {"steps": cut.steps, "warmup_steps": 1, "log_every": 1}
        changed |= {} if cut.batch is None else {"global_batch_size": cut.batch, "streams": cut.batch}
        if load_recipe(place.recipes / f"{training.recipe}.toml").stage == "condition-scenes":
            changed["options.scenes"] = cut.scenes
    return changed


def _train(training: Training, folder: Path, seed: int, place: Place) -> bool:
    return train(place.recipes / f"{training.recipe}.toml", folder, place.threads, **changes(training, seed, place))


def _share_cache(folder: Path, root: Path) -> None:
    """Encode scenes once for all variants whose features are pooled alike."""
    cache = root / "cache" / f"pool-{native.read_config(folder).vision.pool}"
    cache.mkdir(parents=True, exist_ok=True)
    if not (folder / "cache").exists():
        (folder / "cache").symlink_to(cache.resolve(), target_is_directory=True)


def _keep_logs(folder: Path, kept: Path) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("runs/*/log.jsonl"):
        shutil.copyfile(file, kept / f"{folder.name}-{file.parent.name}.jsonl")
