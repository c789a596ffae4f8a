"""`seedx eval stickers`: ask a model about held-out scenes, score what it answers, average.

Every ability is one function from a batch of examples to one dictionary of scores per example. A quarter of the scenes,
about as many as chance would give, hold a pair of objects, or an object on a background, that never occurs in training;
the scores are averaged over all scenes, and apart over the others ("seen") and those ("unseen").
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from PIL import Image
from tqdm import tqdm

from seedx.messages import Box, Text, user
from seedx.messages import Image as Picture
from seedx.stickers import judge, scoring, tasks
from seedx.stickers.judge import Judge
from seedx.stickers.scenes import Scene, render
from seedx.stickers.scoring import Values
from seedx.stickers.tasks import Example, Expected
from seedx.stickers.tasks.reading import scene_to_read

Pictures = list[Image.Image]
UNSEEN_EVERY = 4
WISH_EVERY = 5  # of the drawings, these are asked for by a wish

# What a tiny model has to reach.
FLOORS = {
    "questions.accuracy": 0.90,
    "boxes.acc50": 0.85,
    "draw.all_objects": 0.75,
    "draw.background": 0.95,
    "edit.done": 0.70,
    "edit.psnr_outside": 26.0,
    "reconstruct.objects": 0.90,
    "reconstruct.gain": 6.0,
    "panorama.gain": 0.15,
    "judge.accuracy": 0.99,
}


class Answer(Protocol):
    """What evaluation reads of a reply."""

    @property
    def text(self) -> str: ...
    @property
    def boxes(self) -> Sequence[Box]: ...


class Model(Protocol):
    """What evaluation asks of a model: the batched verbs of `pipeline.py`. Without tiling, a picture is its thumbnail
    alone."""

    def chat_batch(self, prompts: list[tuple[str, Pictures]], *, tiling: bool = True) -> Sequence[Answer]: ...
    def draw_batch(self, prompts: list[str], seeds: list[int]) -> Pictures: ...
    def edit_batch(self, pictures: Pictures, instructions: list[str], seeds: list[int]) -> Pictures: ...
    def reconstruct_batch(self, pictures: Pictures, conditions: Pictures | None, seeds: list[int]) -> Pictures: ...


@dataclass(frozen=True)
class Item:
    """One scene of an ability: the example, and the seed of what is drawn for it."""

    example: Example
    seed: int

    @property
    def prompt(self) -> str:
        return "".join(part.text for part in self.example.messages[0].content if isinstance(part, Text))

    @property
    def picture(self) -> Image.Image:
        """The picture that is read."""
        return render(self.example.scenes[0])

    @property
    def expected(self) -> Expected:
        return self.example.expected[0]

    @property
    def target(self) -> Scene:
        """The scene to draw; the one that is read, where nothing is drawn."""
        return self.expected.target or self.example.scenes[0]


def _questions(model: Model, critic: Judge, items: list[Item]) -> Iterable[Values]:
    replies = model.chat_batch([(item.prompt, [item.picture]) for item in items])
    return [scoring.question(reply.text, item.expected) for reply, item in zip(replies, items, strict=True)]


def _boxes(model: Model, critic: Judge, items: list[Item]) -> Iterable[Values]:
    replies = model.chat_batch([(item.prompt, [item.picture]) for item in items])
    return [scoring.boxes(reply.boxes, item.expected) for reply, item in zip(replies, items, strict=True)]


def _draw(model: Model, critic: Judge, items: list[Item]) -> Iterable[Values]:
    drawn = model.draw_batch([item.prompt for item in items], [item.seed for item in items])
    for item, picture in zip(items, drawn, strict=True):
        scores = scoring.drawing(critic.look(picture), item.expected)
        yield scores | {"wish": scores["all_objects"] if item.example.kind == "wish" else None}


def _edit(model: Model, critic: Judge, items: list[Item]) -> Iterable[Values]:
    pictures, instructions = [item.picture for item in items], [item.prompt for item in items]
    edited = model.edit_batch(pictures, instructions, [item.seed for item in items])
    for item, picture in zip(items, edited, strict=True):
        yield scoring.edit(critic.look(picture), picture, item.expected)


def _reconstruct(model: Model, critic: Judge, items: list[Item]) -> Iterable[Values]:
    pictures, seeds = [item.picture for item in items], [item.seed for item in items]
    plain = model.reconstruct_batch(pictures, None, seeds)
    conditioned = model.reconstruct_batch(pictures, pictures, seeds)
    for item, one, other in zip(items, plain, conditioned, strict=True):
        low, high = scoring.psnr(one, item.target), scoring.psnr(other, item.target)
        assert low is not None and high is not None
        recognised = scoring.objects(critic.look(one), item.target)
        again = scoring.objects(critic.look(other), item.target)
        yield {
            "objects": recognised,
            "objects_condition": again,
            "psnr": low,
            "psnr_condition": high,
            "gain": high - low,
        }


def _panorama(model: Model, critic: Judge, items: list[Item]) -> Iterable[Values]:
    prompts = [(item.prompt, [item.picture]) for item in items]
    tiled, thumbnail = model.chat_batch(prompts), model.chat_batch(prompts, tiling=False)
    for item, one, other in zip(items, tiled, thumbnail, strict=True):
        good, poor = (scoring.question(reply.text, item.expected)["accuracy"] for reply in (one, other))
        assert good is not None and poor is not None
        yield {"tiled": good, "thumbnail": poor, "gain": good - poor}


def _judge(model: Model, critic: Judge, items: list[Item]) -> Iterable[Values]:
    return [scoring.judgement(critic.look(render(item.target)), item.target) for item in items]


@dataclass(frozen=True)
class Ability:
    """`kind` names the task of the scene of an index."""

    kind: Callable[[int], str]
    score: Callable[[Model, Judge, list[Item]], Iterable[Values]]


ABILITIES = {
    "questions": Ability(lambda index: "question", _questions),
    "boxes": Ability(lambda index: "box", _boxes),
    "draw": Ability(lambda index: "draw" if index % WISH_EVERY else "wish", _draw),
    "edit": Ability(lambda index: "edit", _edit),
    "reconstruct": Ability(lambda index: "scene", _reconstruct),
    "panorama": Ability(lambda index: "panorama", _panorama),
    "judge": Ability(lambda index: ("draw", "edit")[index % 2], _judge),
}


def item_of(seed: int, ability: str, index: int) -> Item:
    """The scene of an index. The words in its seed keep evaluation apart from every stream of training."""
    rng = random.Random(f"eval/{seed}/{ability}/{index}")
    kind, unseen = ABILITIES[ability].kind(index), index % UNSEEN_EVERY == 0
    if kind == "scene":
        scene = scene_to_read(rng, unseen, any_size=0)
        example = Example(kind, [user(Picture(scene))], [Expected(source=scene)])
    else:
        example = tasks.sample(rng, kind, unseen)
    return Item(example, rng.getrandbits(31))


def evaluate_stickers(
    model: Model,
    seed: int = 7,
    n: int = 500,
    batch: int = 16,
    abilities: Sequence[str] = tuple(ABILITIES),
    progress: bool = False,
) -> dict[str, Any]:
    """Score a model on `n` scenes of each ability.

    Returns:
        Nested scores, as `scores["questions"]["accuracy"]`: shares in 0..1, PSNR in dB. The same under "seen" and
        "unseen", over the scenes of familiar and of held-out combinations. The seconds per ability, under "seconds".

    Raises:
        ValueError: no scenes, or an unknown ability.
    """
    if n < 1 or batch < 1:
        raise ValueError(f"evaluation needs at least one scene and one in a batch, not n={n}, batch={batch}")
    if unknown := [name for name in abilities if name not in ABILITIES]:
        raise ValueError(f"unknown ability {unknown[0]!r}: choose from {', '.join(ABILITIES)}")
    critic, scores, seconds = judge.load(), Scores(), {}
    with tqdm(total=n * len(abilities), unit="scene", disable=not progress) as bar:
        for ability in abilities:
            bar.set_description(ability)
            start = time.perf_counter()
            for first in range(0, n, batch):
                items = [item_of(seed, ability, index) for index in range(first, min(n, first + batch))]
                for item, values in zip(items, ABILITIES[ability].score(model, critic, items), strict=True):
                    scores.add(ability, item.example.unseen, values)
                bar.update(len(items))
            seconds[ability] = round(time.perf_counter() - start, 2)
    return {"seed": seed, "n": n, **scores.nested(), "seconds": seconds}


class Scores:
    """Collects scores per example and averages them."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], list[tuple[bool, float]]] = defaultdict(list)

    def add(self, ability: str, unseen: bool, values: Values) -> None:
        for name, value in values.items():
            if value is not None:
                self._values[ability, name].append((unseen, value))

    def nested(self) -> dict[str, Any]:
        """{ability: {score: mean}}, and the same under "seen" and "unseen" over their part of the examples."""
        seen, unseen = self._means(lambda flag: not flag), self._means(lambda flag: flag)
        return {**self._means(lambda flag: True), "seen": seen, "unseen": unseen}

    def _means(self, wanted: Callable[[bool], bool]) -> dict[str, dict[str, float]]:
        means: dict[str, dict[str, float]] = {}
        for (ability, name), values in self._values.items():
            if chosen := [value for flag, value in values if wanted(flag)]:
                means.setdefault(ability, {})[name] = round(sum(chosen) / len(chosen), 4)
        return means


def as_table(scores: dict[str, Any]) -> str:
    """The scores as lines for a terminal: all scenes, seen and unseen ones, and what has to be reached."""
    lines = [f"{'':28}{'all':>8}{'seen':>8}{'unseen':>8}{'floor':>8}"]
    for ability in (name for name in ABILITIES if name in scores):
        for name, value in scores[ability].items():
            parts = [value, *(scores[part].get(ability, {}).get(name) for part in ("seen", "unseen"))]
            parts.append(FLOORS.get(f"{ability}.{name}"))
            lines.append(f"{f'{ability}.{name}':28}" + "".join(_cell(name, part) for part in parts))
    return "\n".join(lines)


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return " " * 8
    return f"{value:8.2f}" if name.startswith("psnr") else f"{value:8.3f}"
