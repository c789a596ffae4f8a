"""The abilities that are measured: the examples of each, the protocol, the scores and the baseline."""

from __future__ import annotations

import random

from seedx.messages import Image as Picture
from seedx.messages import assistant, user
from seedx_stickers import tasks
from seedx_stickers.evaluation import protocols, scores
from seedx_stickers.evaluation.ability import Ability, Make
from seedx_stickers.evaluation.baselines import ALWAYS_TEXT, COPY, MAJORITY, MEAN_COLOUR, NEAREST, WHOLE
from seedx_stickers.evaluation.item import Item
from seedx_stickers.evaluation.outside import OUTSIDE
from seedx_stickers.evaluation.shifts import SHIFTS, shifted
from seedx_stickers.tasks import Example, Expected
from seedx_stickers.tasks.reading import scene_to_read
from seedx_stickers.tasks.stories import LONGEST, story

UNSEEN_EVERY = 4  # one example in four is unseen: about the share of unseen scenes among random ones
WISH_EVERY = 5  # one drawing in five is requested by a wish


def _of(*kinds: str) -> Make:
    """Examples of these kinds of `tasks.KINDS`, in rotation."""
    return lambda rng, index, unseen: tasks.sample(rng, kinds[index % len(kinds)], unseen)


def scene_alone(rng: random.Random, index: int, unseen: bool | None) -> Example:
    """A picture without text."""
    scene = scene_to_read(rng, unseen, any_size=0)
    return Example("scene", [user(Picture(scene)), assistant(Picture(scene))], [Expected(source=scene)])


def _two_edits(rng: random.Random, index: int, unseen: bool | None) -> Example:
    """A conversation about a given picture, cut after its second edit."""
    while True:
        example = tasks.sample(rng, "chat", unseen)
        edits = [turn for turn, expected in enumerate(example.expected) if expected.target]
        if len(edits) > 1 and isinstance(example.messages[0].content[0], Picture):
            turns = edits[1] + 1
            cut = Example(example.kind, example.messages[: 2 * turns], example.expected[:turns])
            if unseen in (None, cut.unseen):
                return cut


def _long_story(rng: random.Random, index: int, unseen: bool | None) -> Example:
    """A story of more pictures than any in training."""
    return story(rng, unseen, frames=LONGEST)


ABILITIES = {
    "questions": Ability(_of("question"), protocols.tiles_and_thumbnail, scores.question, MAJORITY, reads=True),
    "boxes": Ability(_of("box"), protocols.single_turn, scores.boxes, WHOLE, reads=True),
    "draw": Ability(_of("wish", *["draw"] * (WISH_EVERY - 1)), protocols.draw, scores.draw, NEAREST),
    "edit": Ability(_of("edit"), protocols.draw, scores.edit, COPY),
    "reconstruct": Ability(scene_alone, protocols.reconstruct, scores.reconstruct, MEAN_COLOUR, reads=True),
    "panorama": Ability(_of("panorama"), protocols.tiles_and_thumbnail, scores.tiles, MAJORITY, reads=True),
    "long": Ability(_of("long"), protocols.tiles_and_thumbnail, scores.tiles_by_type, MAJORITY, reads=True),
    "text": Ability(_of("text"), protocols.tiles_and_thumbnail, scores.question, MAJORITY, reads=True),
    "several": Ability(_of("several"), protocols.single_turn, scores.question, MAJORITY, reads=True),
    "second_edits": Ability(_two_edits, protocols.multi_turn_forced, scores.second_edit, COPY),
    "try_on": Ability(_of("try_on"), protocols.draw, scores.try_on, COPY),
    "together": Ability(_of("together"), protocols.draw, scores.together, COPY),
    "story": Ability(_of("story"), protocols.story, scores.story, NEAREST),
    "story_long": Ability(_long_story, protocols.continued_story, scores.story, NEAREST, trained=_of("story")),
    "slides": Ability(_of("slide"), protocols.slide, scores.slide, NEAREST),
    "modality": Ability(_of("chat"), protocols.multi_turn, scores.modality, ALWAYS_TEXT, stream="decides"),
    "judge": Ability(_of("draw", "edit"), protocols.no_model, scores.judge_accuracy, chance=False),
}

EVERY = {**ABILITIES, **OUTSIDE}


def item_of(seed: int, ability: str, index: int, shift: str | None = None) -> Item:
    """The example of an index. "eval" in its seed makes its random stream different from all streams of training.

    Args:
        shift: a key of `SHIFTS`.
    """
    each = EVERY[ability]
    rng = random.Random(f"eval/{seed}/{each.stream or ability}/{index}")
    example = each.make(rng, index, index % UNSEEN_EVERY == 0)
    seed = rng.getrandbits(31)
    if shift is None:
        return Item(example, seed)
    return Item(shifted(random.Random(f"{shift}/{seed}"), example, SHIFTS[shift]), seed, SHIFTS[shift])


def trained_item(seed: int, ability: str, index: int) -> Item:
    """An example from the training distribution: without held-out combinations."""
    each = EVERY[ability]
    rng = random.Random(f"trained/{seed}/{each.stream or ability}/{index}")
    return Item((each.trained or each.make)(rng, index, False), 0)
