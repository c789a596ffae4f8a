"""Models whose scores are known: one that is always right, and one that never is."""

from seedx.inference.reply import Reply
from seedx.messages import Image, Text, images
from seedx_stickers.evaluation import ABILITIES, item_of
from seedx_stickers.layout import Ask, compose
from seedx_stickers.scenes import render

SEED, N = 7, 4
SILENCE = Reply(())


def key(conversation):
    """What the user has said so far, words and pixels."""
    parts = [part for message in conversation if message.role == "user" for part in message.content]
    return tuple(part.text if isinstance(part, Text) else part.image.tobytes() for part in parts)


class Oracle:
    """Knows every answer, by all that was said before. From thumbnails alone it sees nothing."""

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
    """Says nothing where it may, and where it has to draw, gives back the last picture, or one and the same."""

    def reply_batch(self, conversations, *, drawing="auto", **options):
        return [Reply((Text("Well."), Image(last(each)))) if drawing == "force" else SILENCE for each in conversations]

    def reconstruct_batch(self, pictures, conditions, seeds):
        return [render(compose([Ask("cactus")], "orange")).resize(picture.size) for picture in pictures]


def last(conversation):
    given = images(conversation)
    return given[-1].image if given else render(compose([Ask("cactus")], "orange"))
