"""How long the claims take on this machine, from a few steps and examples of every variant.

The estimate is in processor time: the wall time of one thread on an idle machine.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from seedx.train.recipe import load_recipe
from seedx.train.run import build
from seedx.train.run import run as train
from seedx_stickers.claims.claim import Claim, Training, Variant
from seedx_stickers.claims.init_variant import init_variant, load_variant
from seedx_stickers.claims.runner import Reduced, Workspace, changes

STEPS, EXAMPLES, SCENES = (1, 4), 4, 64  # of the trials


@dataclass(frozen=True)
class Minutes:
    """The minutes of one seed of a claim. The `encoding` of scenes is needed once for all claims and seeds."""

    training: float
    measuring: float
    encoding: float

    def total(self, seeds: int) -> float:
        return seeds * (self.training + self.measuring) + self.encoding


def estimate(claim: Claim, workspace: Workspace) -> Minutes:
    """Estimate from a trial of every variant in a temporary folder."""
    training = measuring = encoding = 0.0
    pools: set[object] = set()
    with TemporaryDirectory() as aside:
        trial = replace(workspace, root=Path(aside), reduced=Reduced(max(STEPS), EXAMPLES, SCENES, batch=None))
        for variant in claim.variants:
            folder = workspace.base
            if not variant.is_base:
                folder = Path(aside) / variant.name
                init_variant(variant, 0, workspace.base, folder)
            for one in variant.trainings:
                pool = variant.config.get("vision.pool")
                if _stage(one, workspace) == "condition-scenes" and pool not in pools:
                    pools.add(pool)
                    encoding += _encoding(one, folder, trial)
                training += _training(one, folder, trial)
            measuring += _measuring(claim, variant, folder)
    return Minutes(training / 60, measuring / 60, encoding / 60)


def table(claims: Sequence[Claim], workspace: Workspace, seeds: int) -> str:
    """The minutes of each claim and of all."""
    heads = ("training", "measuring", "encoding", f"{seeds} seeds")
    lines = ["row" + "".join(f"{head:>10}" for head in heads) + "   minutes of one core"]
    total = 0.0
    for claim in claims:
        m = estimate(claim, workspace)
        total += m.total(seeds)
        parts = (m.training, m.measuring, m.encoding, m.total(seeds))
        lines.append(f"{claim.number:>3}" + "".join(f"{part:10.1f}" for part in parts) + f"   {claim.title}")
    return "\n".join([*lines, f"all{total:40.1f}"])


def _stage(training: Training, workspace: Workspace) -> str:
    return load_recipe(workspace.recipes / f"{training.recipe}.toml").stage


def _training(training: Training, folder: Path, trial: Workspace) -> float:
    """Seconds of a whole training, extrapolated from two trials that differ only in their number of steps."""
    path, seconds = trial.recipes / f"{training.recipe}.toml", []
    for steps in STEPS:
        start = time.process_time()
        train(
            path,
            folder,
            trial.threads,
            **{**changes(training, 0, trial), "steps": steps, "name": f"{training.recipe}-{steps}"},
        )
        seconds.append(time.process_time() - start)
    step = (seconds[1] - seconds[0]) / (STEPS[1] - STEPS[0])
    return seconds[0] + step * (load_recipe(path, **training.changes).steps - STEPS[0])


def _encoding(training: Training, folder: Path, trial: Workspace) -> float:
    """Seconds to encode the scenes of a training, extrapolated from two trials with fewer scenes."""
    path, seconds = trial.recipes / f"{training.recipe}.toml", []
    recipe = load_recipe(path, **training.changes)
    for scenes in (8, 8 + SCENES):
        start = time.process_time()
        build(replace(recipe, options={**recipe.options, "scenes": scenes}), folder)
        seconds.append(time.process_time() - start)
    return max(0.0, seconds[1] - seconds[0]) / SCENES * int(recipe.options["scenes"])


def _measuring(claim: Claim, variant: Variant, folder: Path) -> float:
    """Seconds of all measurements, extrapolated from a few examples of each."""
    model, seconds = load_variant(folder), 0.0
    for measurement in claim.measurements:
        start = time.process_time()
        measurement.run(model, 0, EXAMPLES, **{**measurement.options, **variant.options})
        seconds += (time.process_time() - start) / EXAMPLES * measurement.n
    return seconds
