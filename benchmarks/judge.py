"""What the judges accept: spoiled stickers, faces without eyes, true renders, and drawings that a person has judged.

python benchmarks/judge.py
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import tyro

import seedx
from seedx_stickers import scoring, tasks
from seedx_stickers.evaluation import EVERY, item_of
from seedx_stickers.evaluation.scores import picture_of
from seedx_stickers.judge import STRICT, WEIGHTS, Judge, load_judge
from seedx_stickers.judge_pictures import spoiled
from seedx_stickers.judge_training import sample_scene
from seedx_stickers.scenes import Scene, render

SEED = 21  # of the drawings below
RIGHT = {1, 5, 7, 8, 10, 11, 15, 16, 18, 21, 22, 23, 25, 26, 28, 30, 32, 35, 38, 39, 41, 42, 43, 44, 47, 48, 49, 50, 51}
RIGHT |= {52, 55, 56, 57, 59}  # of sixty, by eye, written down before any judge was asked


def spoiled_ones(judge: Judge, n: int = 400) -> Iterable[bool]:
    """Whether each spoiled sticker is accepted. About one in forty is a face without eyes."""
    for index in range(n):
        rng = random.Random(f"held/{index}")
        lesson = spoiled(rng, sample_scene(rng))
        bad = scoring.truth(lesson.scene.with_stickers(*lesson.rejected)).objects
        yield from (match is not None for match in scoring.found(bad, judge.look(lesson.picture).objects))


def true_ones(judge: Judge, scenes: Iterable[Scene]) -> Iterable[bool]:
    for scene in scenes:
        matches = scoring.found(scoring.truth(scene).objects, judge.look(render(scene)).objects)
        yield from (match is not None for match in matches)


def share(values: Iterable[bool]) -> str:
    each = list(values)
    return f"{100 * sum(each) / len(each):.1f} % of {len(each)}"


def main(*, judges: tuple[Path, ...] = (WEIGHTS, STRICT), n: int = 300) -> None:
    """Print a line for each judge and measure.

    Args:
        judges: folders.
        n: true renders of either kind.
    """
    items = [item_of(SEED, "draw", index) for index in range(60)]
    drawn = [picture_of(answer[0]) for answer in EVERY["draw"].ask(seedx.load("tiny"), items)]
    for folder in judges:
        judge = load_judge(folder)
        scenes = [sample_scene(random.Random(f"true/{index}")) for index in range(n)]
        asked = [tasks.sample(random.Random(f"true/{index}"), "draw").scenes[-1] for index in range(n)]
        accepted = {
            index
            for index, (item, picture) in enumerate(zip(items, drawn, strict=True))
            if scoring.drawing(judge.look(picture), item.expected)["all_objects"]
        }
        print(f"{folder.name}: accepts {share(spoiled_ones(judge))} spoiled, {share(true_ones(judge, scenes))} true,")
        print(f"    {share(true_ones(judge, asked))} in drawings; agrees with the eye on {60 - len(accepted ^ RIGHT)}")


if __name__ == "__main__":
    tyro.cli(main)
