"""What is measured: for each ability its examples, how they are asked, how answers are scored, and what to beat."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from seedx.messages import Image as Picture
from seedx.messages import assistant, user
from seedx_stickers import tasks
from seedx_stickers.evaluation import asking, baselines, scores
from seedx_stickers.evaluation.baselines import Baseline
from seedx_stickers.evaluation.item import Item
from seedx_stickers.evaluation.model import Answer, Model
from seedx_stickers.evaluation.shifts import SHIFTS, shifted
from seedx_stickers.judge import Judge
from seedx_stickers.scoring import Values
from seedx_stickers.tasks import Example, Expected
from seedx_stickers.tasks.reading import scene_to_read
from seedx_stickers.tasks.stories import LONGEST, story

UNSEEN_EVERY = 4  # about as many as chance would give
WISH_EVERY = 5  # of the drawings, these are asked for by a wish

Make = Callable[
    [random.Random, int, bool | None], Example
]  # from a seed, an index and what `tasks.sample` calls unseen


@dataclass(frozen=True)
class Ability:
    """
    Attributes:
        make: the example of an index.
        trained: the same as training has it, to answer from by chance or by likeness; None: as `make`.
        chance: whether answering by chance means anything.
        reads: whether its pictures may be shifted: it only reads.
    """

    make: Make
    ask: Callable[[Model, list[Item]], list[Answer]]
    score: Callable[[Judge, Item, Answer], Values]
    baseline: Baseline | None = None
    trained: Make | None = None
    chance: bool = True
    reads: bool = False


def _of(*kinds: str) -> Make:
    """Examples of kinds of `tasks.KINDS` in turn."""
    return lambda rng, index, unseen: tasks.sample(rng, kinds[index % len(kinds)], unseen)


def scene_alone(rng: random.Random, index: int, unseen: bool | None) -> Example:
    """A picture without a word."""
    scene = scene_to_read(rng, unseen, any_size=0)
    return Example("scene", [user(Picture(scene)), assistant(Picture(scene))], [Expected(source=scene)])


def _two_edits(rng: random.Random, index: int, unseen: bool | None) -> Example:
    """A conversation about a given picture, up to its second edit."""
    while True:
        example = tasks.sample(rng, "chat", unseen)
        edits = [turn for turn, expected in enumerate(example.expected) if expected.target]
        if len(edits) > 1 and isinstance(example.messages[0].content[0], Picture):
            turns = edits[1] + 1
            cut = Example(example.kind, example.messages[: 2 * turns], example.expected[:turns])
            if unseen in (None, cut.unseen):
                return cut


def _long_story(rng: random.Random, index: int, unseen: bool | None) -> Example:
    """More pictures than any story of training."""
    return story(rng, unseen, frames=LONGEST)


ABILITIES = {
    "questions": Ability(_of("question"), asking.tiled_and_thumbnail, scores.question, baselines.MAJORITY, reads=True),
    "boxes": Ability(_of("box"), asking.once, scores.boxes, baselines.EVERYTHING, reads=True),
    "draw": Ability(_of("wish", *["draw"] * (WISH_EVERY - 1)), asking.drawn, scores.draw, baselines.NEAREST),
    "edit": Ability(_of("edit"), asking.drawn, scores.edit, baselines.COPY),
    "reconstruct": Ability(scene_alone, asking.redrawn, scores.reconstruct, baselines.PLAIN, reads=True),
    "panorama": Ability(_of("panorama"), asking.tiled_and_thumbnail, scores.tiles, baselines.MAJORITY, reads=True),
    "long": Ability(_of("long"), asking.tiled_and_thumbnail, scores.tiles_by_type, baselines.MAJORITY, reads=True),
    "text": Ability(_of("text"), asking.tiled_and_thumbnail, scores.question, baselines.MAJORITY, reads=True),
    "several": Ability(_of("several"), asking.once, scores.question, baselines.MAJORITY, reads=True),
    "second_edits": Ability(_two_edits, asking.turn_by_turn_as_told, scores.second_edit, baselines.COPY),
    "try_on": Ability(_of("try_on"), asking.drawn, scores.try_on, baselines.COPY),
    "together": Ability(_of("together"), asking.drawn, scores.together, baselines.COPY),
    "story": Ability(_of("story"), asking.told, scores.story, baselines.NEAREST),
    "story_long": Ability(_long_story, asking.told_on, scores.story, baselines.NEAREST, trained=_of("story")),
    "slides": Ability(_of("slide"), asking.designed, scores.slide, baselines.NEAREST),
    "decides": Ability(_of("chat"), asking.turn_by_turn, scores.decides, baselines.WORDS),
    "judge": Ability(_of("draw", "edit"), asking.nothing, scores.judge, chance=False),
}


def item_of(seed: int, ability: str, index: int, shift: str | None = None) -> Item:
    """The example of an index. The words in its seed keep evaluation apart from every stream of training.

    Args:
        shift: a key of `SHIFTS`.
    """
    rng = random.Random(f"eval/{seed}/{ability}/{index}")
    example = ABILITIES[ability].make(rng, index, index % UNSEEN_EVERY == 0)
    seed = rng.getrandbits(31)
    if shift is None:
        return Item(example, seed)
    return Item(shifted(random.Random(f"{shift}/{seed}"), example, SHIFTS[shift]), seed, SHIFTS[shift])


def trained_item(seed: int, ability: str, index: int) -> Item:
    """An example as training has it: without held-out combinations."""
    each = ABILITIES[ability]
    rng = random.Random(f"trained/{seed}/{ability}/{index}")
    return Item((each.trained or each.make)(rng, index, False), 0)
