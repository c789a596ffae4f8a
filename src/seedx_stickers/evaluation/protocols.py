"""How items are presented to a model.

Each protocol returns one answer per item: its replies, one for each turn, or one for each variant of the same turn.
"""

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

TURN_TOKENS = 100  # at most, of a reply in a conversation: a reply without an end must leave room for later turns


def single_turn(model: Model, items: list[Item]) -> list[Answer]:
    """The first turn; the model chooses between text, boxes and a picture."""
    return [(reply,) for reply in _replies(model, items)]


def draw(model: Model, items: list[Item]) -> list[Answer]:
    """The first turn; the reply must contain a picture."""
    return [(reply,) for reply in _replies(model, items, drawing="force")]


def story(model: Model, items: list[Item]) -> list[Answer]:
    """A story in one reply, which must contain pictures. No given picture is used as a condition."""
    return [(reply,) for reply in _replies(model, items, drawing="force", condition=False)]


def continued_story(model: Model, items: list[Item]) -> list[Answer]:
    """A story as `Pipeline.story` makes it: continued from its last picture until the number of frames is reached."""
    openings, frames = [item.conversation() for item in items], [len(item.expected.frames) for item in items]
    whole = stories(model.reply_batch, openings, frames, [item.seed for item in items])
    return [
        (Reply(tuple(part for text, picture in each for part in (Text(text), Picture(picture)))),) for each in whole
    ]


def slide(model: Model, items: list[Item]) -> list[Answer]:
    """A slide. No given picture is used as a condition."""
    return [(reply,) for reply in _replies(model, items, condition=False)]


def tiles_and_thumbnail(model: Model, items: list[Item]) -> list[Answer]:
    """The first turn twice: with the pictures cut into tiles, and with their thumbnails alone."""
    return list(zip(_replies(model, items), _replies(model, items, tiling=False), strict=True))


def reconstruct(model: Model, items: list[Item]) -> list[Answer]:
    """The picture decoded from its features alone, and with itself as the condition."""
    pictures, seeds = [item.pictures[0] for item in items], [item.seed for item in items]
    plain = model.reconstruct_batch(pictures, None, seeds)
    conditioned = model.reconstruct_batch(pictures, pictures, seeds)
    return [(picture_reply(one), picture_reply(other)) for one, other in zip(plain, conditioned, strict=True)]


def multi_turn(model: Model, items: list[Item]) -> list[Answer]:
    """All turns, each after the model's own replies to the turns before. The model chooses the form of each reply."""
    return _converse(model, items, dict.fromkeys((False, True), "auto"))


def multi_turn_forced(model: Model, items: list[Item]) -> list[Answer]:
    """Like `multi_turn`, but the model must draw where a picture is expected, and must not draw elsewhere."""
    return _converse(model, items, {True: "force", False: "forbid"})


def no_model(model: Model, items: list[Item]) -> list[Answer]:
    """No replies: what is scored does not depend on the model."""
    return [() for _ in items]


def picture_reply(picture: Image.Image) -> Reply:
    """A reply that consists of this picture."""
    return Reply((Picture(picture),))


# The labels of the replies of protocols that present the same turn twice.
REPLY_LABELS: dict[Callable[[Model, list[Item]], list[Answer]], tuple[str, ...]] = {
    tiles_and_thumbnail: ("from tiles", "from the thumbnail"),
    reconstruct: ("from its features", "with itself as the condition"),
}


def _replies(
    model: Model, items: list[Item], *, tiling: bool = True, drawing: Drawing = "auto", condition: bool | None = None
) -> Sequence[Reply]:
    conversations, seeds = [item.conversation() for item in items], [item.seed for item in items]
    return model.reply_batch(conversations, tiling=tiling, drawing=drawing, condition=condition, seeds=seeds)


def _converse(model: Model, items: list[Item], drawing: dict[bool, Drawing]) -> list[Answer]:
    """All turns of all items, batched over items at the same turn.

    Args:
        drawing: the drawing mode of a turn, by whether a picture is expected.
    """
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
