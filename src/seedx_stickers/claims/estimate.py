"""How long the rows take on this machine, from a few real steps and examples of every variant.

Processor time is what is counted: one thread of a machine that has nothing else to do takes as long.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from seedx.inference import pipeline
from seedx.train.recipe import load_recipe
from seedx.train.run import build
from seedx.train.run import run as train
from seedx_stickers.claims.claim import Claim, Training, Variant
from seedx_stickers.claims.init_variant import begin
from seedx_stickers.claims.runner import Cut, Place, changes

STEPS, EXAMPLES, SCENES = (1, 4), 4, 64  # tried


@dataclass(frozen=True)
class Minutes:
    """Of one seed of a claim. `encoding` of scenes is needed once for all rows and seeds."""

    training: float
    measuring: float
    encoding: float

    def total(self, seeds: int) -> float:
        return seeds * (self.training + self.measuring) + self.encoding


def estimate(claim: Claim, place: Place) -> Minutes:
    """Try every variant of a claim in a folder that is removed again."""
    training = measuring = encoding = 0.0
    pools: set[object] = set()
    with TemporaryDirectory() as aside:
        trial = replace(place, root=Path(aside), cut=Cut(max(STEPS), EXAMPLES, SCENES, batch=None))
        for variant in claim.variants:
            folder = place.source
            if not variant.as_trained:
                folder = Path(aside) / variant.name
                begin(variant, 0, place.source, folder)
            for one in variant.trainings:
                pool = variant.config.get("vision.pool")
                if _stage(one, place) == "condition-scenes" and pool not in pools:
                    pools.add(pool)
                    encoding += _encoding(one, folder, trial)
                training += _training(one, folder, trial)
            measuring += _measuring(claim, variant, folder)
    return Minutes(training / 60, measuring / 60, encoding / 60)


def table(claims: Sequence[Claim], place: Place, seeds: int) -> str:
    """Minutes of every row, and of all."""
    heads = ("training", "measuring", "encoding", f"{seeds} seeds")
    lines = ["row" + "".join(f"{head:>10}" for head in heads) + "   minutes of one core"]
    total = 0.0
    for claim in claims:
        m = estimate(claim, place)
        total += m.total(seeds)
        parts = (m.training, m.measuring, m.encoding, m.total(seeds))
        lines.append(f"{claim.number:>3}" + "".join(f"{part:10.1f}" for part in parts) + f"   {claim.title}")
    return "\n".join([*lines, f"all{total:40.1f}"])


def _stage(training: Training, place: Place) -> str:
    return load_recipe(place.recipes / f"{training.recipe}.toml").stage


def _training(training: Training, folder: Path, trial: Place) -> float:
    """Seconds of a whole training, after two short ones: each begins with the same things, and one has more steps."""
    path, seconds = trial.recipes / f"{training.recipe}.toml", []
    for steps in STEPS:
        began = time.process_time()
        train(
            path,
            folder,
            trial.threads,
            **{**changes(training, 0, trial), "steps": steps, "name": f"{training.recipe}-{steps}"},
        )
        seconds.append(time.process_time() - began)
    step = (seconds[1] - seconds[0]) / (STEPS[1] - STEPS[0])
    return seconds[0] + step * (load_recipe(path, **training.changes).steps - STEPS[0])


def _encoding(training: Training, folder: Path, trial: Place) -> float:
    """Seconds to encode the scenes of a training: the difference between a few and more."""
    path, seconds = trial.recipes / f"{training.recipe}.toml", []
    recipe = load_recipe(path, **training.changes)
    for scenes in (8, 8 + SCENES):
        began = time.process_time()
        build(replace(recipe, options={**recipe.options, "scenes": scenes}), folder)
        seconds.append(time.process_time() - began)
    return max(0.0, seconds[1] - seconds[0]) / SCENES * recipe.options["scenes"]


def _measuring(claim: Claim, variant: Variant, folder: Path) -> float:
    """Seconds of all measurements, after a few examples of each."""
    model, seconds = pipeline.load(folder), 0.0
    for measurement in claim.measurements:
        began = time.process_time()
        measurement.run(model, 0, EXAMPLES, **{**measurement.options, **variant.options})
        seconds += (time.process_time() - began) / EXAMPLES * measurement.n
    return seconds
