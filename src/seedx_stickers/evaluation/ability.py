"""What an ability of the evaluation is: its examples, protocol, scores and baseline."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from seedx_stickers.evaluation.baselines import Baseline
from seedx_stickers.evaluation.item import Item
from seedx_stickers.evaluation.model import Answer, Model
from seedx_stickers.judge import Judge
from seedx_stickers.scoring import Values
from seedx_stickers.tasks import Example

# (rng, index, unseen) -> Example; `unseen` as in `tasks.sample`
Make = Callable[[random.Random, int, bool | None], Example]


@dataclass(frozen=True)
class Ability:
    """
    Attributes:
        make: the example of an index.
        ask: the protocol by which examples are presented to a model.
        score: the scores of an answer.
        trained: like `make`, for the training examples that chance and the baseline answer from; None: `make`.
        chance: whether answers by chance are meaningful.
        reads: whether it only reads pictures, which may then be shifted.
        stream: the name in the seeds of its examples, if it is not the ability's.
    """

    make: Make
    ask: Callable[[Model, list[Item]], list[Answer]]
    score: Callable[[Judge, Item, Answer], Values]
    baseline: Baseline | None = None
    trained: Make | None = None
    chance: bool = True
    reads: bool = False
    stream: str = ""
