"""Models with known scores: one that is always right, and one that is always wrong."""

from seedx.inference.reply import Reply
from seedx.messages import Image, Text, images
from seedx_stickers.evaluation import ABILITIES, item_of
from seedx_stickers.layout import Ask, compose
from seedx_stickers.scenes import render

SEED, N = 7, 4
SILENCE = Reply(())


def key(conversation):
    """The user's messages so far, text and pixels."""
    parts = [part for message in conversation if message.role == "user" for part in message.content]
    return tuple(part.text if isinstance(part, Text) else part.image.tobytes() for part in parts)


class Oracle:
    """Knows the answer to every conversation; from thumbnails alone it replies nothing."""

    def __init__(self, shift=None):
        self.answers, self.asked = {}, []
        for ability in ABILITIES:
            if shift is None or ABILITIES[ability].reads:
                for item in (item_of(SEED, ability, index, shift) for index in range(N)):
                    for turn, reply in enumerate(item.truth):
                        self.answers[key(item.turns[: turn + 1])] = reply

    def reply_batch(self, conversations, *, tiling=True, seeds=None, **options):
        self.asked += [(len(each), seed, options) for each, seed in zip(conversations, seeds, strict=True)]
        return [self.answers[key(each)] if tiling else SILENCE for each in conversations]

    def reconstruct_batch(self, pictures, conditions, seeds):
        return pictures if conditions else [picture.convert("L").convert("RGB") for picture in pictures]


class Fool:
    """Replies nothing unless it must draw; then it returns the last picture, or always the same one."""

    def reply_batch(self, conversations, *, drawing="auto", **options):
        return [Reply((Text("Well."), Image(last(each)))) if drawing == "force" else SILENCE for each in conversations]

    def reconstruct_batch(self, pictures, conditions, seeds):
        return [render(compose([Ask("cactus")], "orange")).resize(picture.size) for picture in pictures]


def last(conversation):
    given = images(conversation)
    return given[-1].image if given else render(compose([Ask("cactus")], "orange"))
