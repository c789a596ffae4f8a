"""`seedx eval stickers`: present held-out scenes to a model, score its answers, average the scores.

A quarter of the scenes contain a pair of objects, or an object on a background, that never occurs in training. The
scores are averaged over all scenes, over those with such a combination ("unseen"), and over the rest ("seen").
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from seedx.errors import SeedxError
from seedx_stickers.evaluation.abilities import ABILITIES, EVERY, item_of, trained_item
from seedx_stickers.evaluation.baselines import Pool, by_chance
from seedx_stickers.evaluation.item import Item
from seedx_stickers.evaluation.model import Answer, Model
from seedx_stickers.evaluation.shifts import SHIFTS
from seedx_stickers.judge import Judge, load_judge
from seedx_stickers.scoring import Values


@dataclass(frozen=True)
class Record:
    """An item, the answer to it and its scores."""

    item: Item
    answer: Answer
    values: Values


def evaluate_stickers(
    model: Model,
    seed: int = 7,
    n: int = 500,
    batch: int = 16,
    abilities: Sequence[str] = (),
    progress: bool = False,
    *,
    shift: str | None = None,
    trained: int = 1000,
    watch: Callable[[str, list[Record]], None] | None = None,
    judge: Judge | None = None,
) -> dict[str, Any]:
    """Score a model on `n` scenes of each ability.

    Args:
        abilities: keys of `EVERY`; by default all of `ABILITIES`, or with a shift all that only read pictures.
        shift: a key of `SHIFTS`: pictures out of the training distribution.
        trained: the number of training examples that chance and the baselines answer from; 0: leave both out.
        judge: what drawings are scored by; None: the bundled one.
        watch: called after each ability with its name and its records.

    Returns:
        Nested scores, as `scores["questions"]["accuracy"]`: shares in 0..1, PSNR in dB. "seen" and "unseen" have the
        same over the scenes of familiar and of held-out combinations; "chance" and "baseline" have the same over all
        scenes, for answers made without the model; "seconds" has the time of the model for each ability.

    Raises:
        SeedxError: `n` or `batch` below 1, an unknown ability or shift, or a shift for an ability that draws.
    """
    chosen = _chosen(abilities, shift)
    if n < 1 or batch < 1:
        raise SeedxError(f"n and batch must be at least one, not n={n}, batch={batch}")
    judge, seconds = judge or load_judge(), {}
    scores, chance, baseline = Scores(), Scores(), Scores()
    with tqdm(total=n * len(chosen), unit="scene", disable=not progress) as bar:
        for name in chosen:
            bar.set_description(name)
            start, records = time.perf_counter(), []
            for first in range(0, n, batch):
                items = [item_of(seed, name, index, shift) for index in range(first, min(n, first + batch))]
                records += _scored(judge, name, items, EVERY[name].ask(model, items))
                bar.update(len(items))
            seconds[name] = round(time.perf_counter() - start, 2)
            scores.add(name, records)
            if trained:
                pool = Pool([trained_item(seed, name, index) for index in range(trained)])
                _without_model(judge, name, [record.item for record in records], pool, chance, baseline)
            if watch:
                watch(name, records)
    simple = {"chance": chance.means(), "baseline": baseline.means()}
    return {"seed": seed, "n": n, "shift": shift, **scores.nested(), **simple, "seconds": seconds}


def _chosen(abilities: Sequence[str], shift: str | None) -> list[str]:
    if unknown := [name for name in abilities if name not in EVERY]:
        raise SeedxError(f"unknown ability {unknown[0]!r}: choose from {', '.join(EVERY)}")
    if shift is None:
        return list(abilities or ABILITIES)
    if shift not in SHIFTS:
        raise SeedxError(f"unknown shift {shift!r}: choose from {', '.join(SHIFTS)}")
    reading = [name for name, ability in ABILITIES.items() if ability.reads]
    if other := [name for name in abilities if name not in reading]:
        raise SeedxError(f"a shift needs an ability that only reads pictures ({', '.join(reading)}), not {other[0]!r}")
    return list(abilities or reading)


def _scored(judge: Judge, name: str, items: list[Item], answers: Iterable[Answer]) -> list[Record]:
    score = EVERY[name].score
    return [Record(item, answer, score(judge, item, answer)) for item, answer in zip(items, answers, strict=True)]


def _without_model(judge: Judge, name: str, items: list[Item], pool: Pool, chance: Scores, baseline: Scores) -> None:
    """Add the scores of chance and of the baseline, if the ability has them."""
    ability = EVERY[name]
    if ability.chance:
        chance.add(name, _scored(judge, name, items, (by_chance(item, pool) for item in items)))
    if ability.baseline:
        answer = ability.baseline.answer
        baseline.add(name, _scored(judge, name, items, (answer(item, pool) for item in items)))


class Scores:
    """Collects scores per example and averages them."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], list[tuple[bool, float]]] = defaultdict(list)

    def add(self, ability: str, records: Iterable[Record]) -> None:
        for record in records:
            for name, value in record.values.items():
                if value is not None:
                    self._values[ability, name].append((record.item.example.unseen, value))

    def nested(self) -> dict[str, Any]:
        """{ability: {score: mean}}, and the same under "seen" and "unseen" over those examples."""
        return {**self.means(), "seen": self.means(lambda flag: not flag), "unseen": self.means(lambda flag: flag)}

    def means(self, wanted: Callable[[bool], bool] = lambda flag: True) -> dict[str, dict[str, float]]:
        """Averages over the examples whose `unseen` flag is `wanted`."""
        means: dict[str, dict[str, float]] = {}
        for (ability, name), values in self._values.items():
            if chosen := [value for flag, value in values if wanted(flag)]:
                means.setdefault(ability, {})[name] = round(sum(chosen) / len(chosen), 4)
        return means
