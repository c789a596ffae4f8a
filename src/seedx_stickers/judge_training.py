"""Train the judge: `python -m seedx_stickers.judge_training`. It takes about 20 minutes on one core and can be resumed.

A batch depends only on the seed and its step, so a resumed run equals an uninterrupted one. Half of the renders are
mildly corrupted (warped shapes, shifted colours, stains): the judge must still name what they show. What it must not
accept, and where it learns that from, is in `judge_pictures.py`.
"""

from __future__ import annotations

import argparse
import logging
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from seedx_stickers import scenes
from seedx_stickers.art import BACKGROUNDS, OBJECTS, aspect
from seedx_stickers.corruptions import warp
from seedx_stickers.judge import (
    CELL,
    SIDE,
    WEIGHTS,
    Judge,
    JudgeConfig,
    Maps,
    Sighting,
    load_judge,
    save_judge,
    to_pixels,
)
from seedx_stickers.judge_pictures import Lesson, lesson
from seedx_stickers.scenes import Scene
from seedx_stickers.scoring import truth

log = logging.getLogger(__name__)
CELLS = SIDE // CELL
REJECTED = 5.0  # weight of the cells where a spoiled sticker must not be found


@dataclass(frozen=True)
class Plan:
    steps: int = 1000
    batch: int = 32
    rate: float = 3e-3
    warmup: int = 100
    seed: int = 0
    save_every: int = 100


@dataclass(frozen=True)
class Targets:
    """
    Attributes:
        stickers: (B, C, H, W), 1 in the middle of a sticker, 0 away from it, -1 (not counted) between.
        votes: (B, G, 3, H, W), as in `Maps`.
        background: (B,) indices.
        weights: (B, C, H, W), of the cells: more where a spoiled sticker must not be found.
    """

    stickers: Tensor
    votes: Tensor
    background: Tensor
    weights: Tensor


def sample_scene(rng: random.Random) -> Scene:
    """A scene like those of drawings, or an emptier, fuller or larger one; worn things are frequent."""
    if rng.random() < 0.03:
        return Scene(SIDE, SIDE, rng.choice(list(BACKGROUNDS)), ())
    if rng.random() < 0.15:
        scene = scenes.sample(rng, count=1, sizes=(0.4, 0.85), unseen=None)
    else:
        faces = [name for name, item in OBJECTS.items() if item.face]
        names = [rng.choice([*OBJECTS, *faces]) for _ in range(rng.randint(1, 5))]
        sizes = rng.choice([None, (0.2, 0.3), (0.16, 0.5)])
        scene = scenes.sample(rng, count=len(names), names=names, sizes=sizes, unseen=None)
    return scene.with_stickers(*(_dress(rng, sticker) for sticker in scene.stickers))


def _dress(rng: random.Random, sticker: scenes.Sticker) -> scenes.Sticker:
    if not OBJECTS[sticker.name].face or rng.random() < 0.5:
        return sticker
    wears = rng.choice([("hat",), ("sunglasses",), ("sunglasses",), ("hat", "sunglasses")])
    return scenes.Sticker(sticker.name, sticker.x, sticker.y, sticker.size, wears)


def sample_lesson(rng: random.Random) -> Lesson:
    return lesson(rng, sample_scene(rng))


def targets_of(config: JudgeConfig, batch: Sequence[Scene], lessons: Sequence[Lesson] = ()) -> Targets:
    """Targets of scenes; `lessons`: the lessons that they belong to, for what is unclear or rejected in them."""
    stickers = np.zeros((len(batch), len(config.objects), CELLS, CELLS), np.float32)
    votes = np.zeros((len(batch), 1 + max(config.groups), 3, CELLS, CELLS), np.float32)
    rows, columns = np.mgrid[:CELLS, :CELLS] + 0.5
    for index, scene in enumerate(batch):
        for item in truth(scene).objects:
            which = config.objects.index(item.name)
            dx, dy, size = item.x * CELLS - columns, item.y * CELLS - rows, item.size * CELLS
            wide, high = size * min(1.0, aspect(item.name)), size * min(1.0, 1 / aspect(item.name))
            reach = np.hypot(dx / wide, dy / high)  # 0.5 on the ellipse in the sticker's box
            middle = (reach < 0.28) | (reach == reach.min())
            own = stickers[index, which]
            own[(reach < 0.6) & ~middle & (own == 0)] = -1
            own[middle] = 1
            vote = votes[index, config.groups[which]]
            vote[0, middle], vote[1, middle], vote[2, middle] = dx[middle], dy[middle], math.log(size)
    weights = np.ones_like(stickers)
    for index, lesson_ in enumerate(lessons):
        for item, reach in _reaches(batch[index].with_stickers(*lesson_.unclear), rows, columns):
            own = stickers[index, config.objects.index(item.name)]
            own[(reach < 0.6) & (own == 0)] = -1
        for item, reach in _reaches(batch[index].with_stickers(*lesson_.rejected), rows, columns):
            weights[index, config.objects.index(item.name)][reach < 0.4] = REJECTED
    backgrounds = torch.tensor([config.backgrounds.index(scene.background) for scene in batch])
    return Targets(torch.from_numpy(stickers), torch.from_numpy(votes), backgrounds, torch.from_numpy(weights))


def _reaches(scene: Scene, rows: np.ndarray, columns: np.ndarray) -> Iterator[tuple[Sighting, np.ndarray]]:
    """What a scene shows, with each cell's distance from its middle: 0.5 on the ellipse in its box."""
    for item in truth(scene).objects:
        wide, high = (item.size * CELLS * min(1.0, aspect(item.name) ** sign) for sign in (1, -1))
        yield item, np.hypot((item.x * CELLS - columns) / wide, (item.y * CELLS - rows) / high)


def loss_of(config: JudgeConfig, maps: Maps, targets: Targets) -> Tensor:
    """Focal loss of the stickers, L1 loss of the votes on stickers, cross-entropy of the background."""
    logits, here = maps.stickers.float(), targets.stickers == 1
    entropy = F.binary_cross_entropy_with_logits(logits, here.float(), reduction="none")
    wrong = torch.where(here, 1 - logits.sigmoid(), logits.sigmoid())
    naming = (entropy * wrong**2 * (targets.stickers >= 0) * targets.weights).sum() / here.sum().clamp(min=1)
    group = torch.tensor(config.groups)
    claimed = torch.stack([here[:, group == g].any(1) for g in range(1 + max(config.groups))], 1)[:, :, None]
    voting = ((maps.votes.float() - targets.votes).abs() * claimed).sum() / claimed.sum().clamp(min=1)
    return naming + 0.2 * voting + 0.5 * F.cross_entropy(maps.background.float(), targets.background)


def batch_of(config: JudgeConfig, plan: Plan, step: int) -> tuple[Tensor, Targets]:
    """Pixels (B, 3, 96, 96) and targets of a step."""
    rng = random.Random(f"judge/{plan.seed}/{step}")
    lessons = [sample_lesson(rng) for _ in range(plan.batch)]
    pixels = torch.stack([to_pixels(each.picture) for each in lessons])
    targets = targets_of(config, [each.scene for each in lessons], lessons)
    return warp(rng, pixels, most=1.2), targets


class Training:
    """The state of a training: the judge, its moving average (which is what is kept), the optimiser and the step."""

    def __init__(self, plan: Plan) -> None:
        torch.manual_seed(plan.seed)
        self.plan, self.step = plan, 0
        self.judge = Judge().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = AveragedModel(self.judge, multi_avg_fn=get_ema_multi_avg_fn(0.995), use_buffers=True)
        self.optimiser = torch.optim.AdamW(self.judge.parameters(), weight_decay=0.02)

    def rate(self) -> float:
        """Linear warm-up, then a cosine to zero."""
        done = (self.step - self.plan.warmup) / max(1, self.plan.steps - self.plan.warmup)
        return self.plan.rate * min((self.step + 1) / self.plan.warmup, 0.5 + 0.5 * math.cos(math.pi * max(0.0, done)))

    def advance(self) -> float:
        """One training step; returns its loss."""
        self.optimiser.param_groups[0]["lr"] = self.rate()
        pixels, targets = batch_of(self.judge.config, self.plan, self.step)
        with torch.autocast("cpu", torch.bfloat16):
            maps = self.judge(pixels.contiguous(memory_format=torch.channels_last))
        loss = loss_of(self.judge.config, maps, targets)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.judge.parameters(), 5.0)
        self.optimiser.step()
        self.average.update_parameters(self.judge)
        self.step += 1
        return loss.item()

    def save(self, path: Path) -> None:
        parts = {name: getattr(self, name).state_dict() for name in ("judge", "average", "optimiser")}
        torch.save({"step": self.step, **parts}, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)  # never half a checkpoint

    def resume(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        self.step = state["step"]
        for name in ("judge", "average", "optimiser"):
            getattr(self, name).load_state_dict(state[name])


def train(plan: Plan, run: Path, out: Path, start: Path | None = None) -> Judge:
    """Train with checkpoints in `run`, resuming from the last one; the trained judge is written to `out`.

    `start`: the folder of a judge whose weights a new run begins with.
    """
    run.mkdir(parents=True, exist_ok=True)
    training, checkpoint = Training(plan), run / "checkpoint.pt"
    if checkpoint.exists():
        training.resume(checkpoint)
    elif start:
        training.judge.load_state_dict(load_judge(start).state_dict())
        training.average.module.load_state_dict(training.judge.state_dict())
    with tqdm(total=plan.steps, initial=training.step, unit="step", mininterval=10) as bar:
        while training.step < plan.steps:
            loss = training.advance()
            bar.update()
            if training.step % plan.save_every == 0 or training.step == plan.steps:
                training.save(checkpoint)
                log.info("step %d loss %.4f", training.step, loss)
    judge = Judge(training.judge.config)
    judge.load_state_dict(training.average.module.state_dict())
    save_judge(judge, out)
    return judge.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--rate", type=float, default=Plan.rate, help="the highest learning rate")
    parser.add_argument("--start", type=Path, help="folder of a judge to start from")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--run", type=Path, default=Path("runs/judge"), help="checkpoints")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder of the trained judge")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    plan = Plan(steps=options.steps, seed=options.seed, rate=options.rate)
    train(plan, options.run, options.out, options.start)


if __name__ == "__main__":
    main()
