"""Ways to put items to a model. Each gives an answer per item: the replies to its turns, or to two ways of asking."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from PIL import Image

from seedx.inference.reply import Reply
from seedx.inference.settings import Drawing
from seedx.inference.stories import stories
from seedx.messages import Image as Picture
from seedx.messages import Text
from seedx_stickers.evaluation.item import Item
from seedx_stickers.evaluation.model import Answer, Model
from seedx_stickers.tasks import Expected

TURN_TOKENS = 100  # of a reply in a conversation, at most: one that never ends must leave room for the turns after it


def once(model: Model, items: list[Item]) -> list[Answer]:
    """The first turn; the model decides with what it answers."""
    return [(reply,) for reply in _replies(model, items)]


def drawn(model: Model, items: list[Item]) -> list[Answer]:
    """The first turn, which is to be answered with a picture."""
    return [(reply,) for reply in _replies(model, items, drawing="force")]


def told(model: Model, items: list[Item]) -> list[Answer]:
    """A story: pictures must come, and keep to none that was given."""
    return [(reply,) for reply in _replies(model, items, drawing="force", condition=False)]


def told_on(model: Model, items: list[Item]) -> list[Answer]:
    """A story as `Pipeline.story` tells it: where it ends early, it is gone on with from its last picture."""
    openings, frames = [item.conversation() for item in items], [len(item.expected.frames) for item in items]
    whole = stories(model.reply_batch, openings, frames, [item.seed for item in items])
    return [
        (Reply(tuple(part for text, picture in each for part in (Text(text), Picture(picture)))),) for each in whole
    ]


def designed(model: Model, items: list[Item]) -> list[Answer]:
    """A slide: its picture keeps to none that was given."""
    return [(reply,) for reply in _replies(model, items, condition=False)]


def tiled_and_thumbnail(model: Model, items: list[Item]) -> list[Answer]:
    """The first turn twice: its pictures in tiles, and their thumbnails alone."""
    return list(zip(_replies(model, items), _replies(model, items, tiling=False), strict=True))


def redrawn(model: Model, items: list[Item]) -> list[Answer]:
    """The picture from its features alone, and with itself as the condition."""
    pictures, seeds = [item.pictures[0] for item in items], [item.seed for item in items]
    plain = model.reconstruct_batch(pictures, None, seeds)
    conditioned = model.reconstruct_batch(pictures, pictures, seeds)
    return [(shown(one), shown(other)) for one, other in zip(plain, conditioned, strict=True)]


def turn_by_turn(model: Model, items: list[Item]) -> list[Answer]:
    """All turns, each after what the model itself answered to those before. It decides how it answers."""
    return _converse(model, items, dict.fromkeys((False, True), "auto"))


def turn_by_turn_as_told(model: Model, items: list[Item]) -> list[Answer]:
    """The same; it has to draw where a picture is expected, and must not elsewhere."""
    return _converse(model, items, {True: "force", False: "forbid"})


def nothing(model: Model, items: list[Item]) -> list[Answer]:
    return [() for _ in items]


def shown(picture: Image.Image) -> Reply:
    """A reply that is this picture."""
    return Reply((Picture(picture),))


# Where an answer holds a reply to each of two ways of asking, their names.
WAYS: dict[Callable[[Model, list[Item]], list[Answer]], tuple[str, ...]] = {
    tiled_and_thumbnail: ("from tiles", "from the thumbnail"),
    redrawn: ("from its features", "with itself as the condition"),
}


def _replies(
    model: Model, items: list[Item], *, tiling: bool = True, drawing: Drawing = "auto", condition: bool = True
) -> Sequence[Reply]:
    conversations, seeds = [item.conversation() for item in items], [item.seed for item in items]
    return model.reply_batch(conversations, tiling=tiling, drawing=drawing, condition=condition, seeds=seeds)


def _converse(model: Model, items: list[Item], drawing: dict[bool, Drawing]) -> list[Answer]:
    """`drawing` says how a turn is asked whose answer is no picture or is one. Items at the same turn go together."""
    answers: list[Answer] = [() for _ in items]
    for turn in range(max(len(item.turns) for item in items)):
        groups: dict[Drawing, list[int]] = defaultdict(list)
        for index, item in enumerate(items):
            if turn < len(item.turns):
                groups[drawing[_is_picture(item.example.expected[turn])]].append(index)
        for mode, group in groups.items():
            conversations = [items[index].conversation(answers[index]) for index in group]
            seeds = [items[index].seed for index in group]
            replies = model.reply_batch(conversations, drawing=mode, seeds=seeds, max_new_tokens=TURN_TOKENS)
            for index, reply in zip(group, replies, strict=True):
                answers[index] += (reply,)
    return answers


def _is_picture(expected: Expected) -> bool:
    return expected.target is not None
