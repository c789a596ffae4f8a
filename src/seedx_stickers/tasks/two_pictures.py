"""Drawing from two pictures: an animal of one tries on what the other shows; the animals of both come together.

The last given picture is the condition of a drawing, so the picture to be changed comes last.
"""

from __future__ import annotations

import random

from seedx.messages import Image, assistant, user
from seedx_stickers.art import BACKGROUNDS, OBJECTS
from seedx_stickers.layout import Ask, apart, boxes, compose
from seedx_stickers.scenes import Scene, is_unseen, sample
from seedx_stickers.tasks.drawing import HERE
from seedx_stickers.tasks.editing import GAP
from seedx_stickers.tasks.example import Example, Expected
from seedx_stickers.tasks.reading import FACES, WEARABLE, dressed, in_order, left_to_right, pick_names
from seedx_stickers.tasks.wishes import ANIMALS, explanation
from seedx_stickers.tasks.words import called, styled

# What a prompt does not name must be read from the first picture.
SEEN = (
    "put this on the {x}",
    "try this on the {x}",
    "let the {x} try this on",
    "the {x} should wear this",
    "give this to the {x}",
    "dress the {x} of the second picture with this",
    "put what the first picture shows on the {x}",
)
NAMED = (
    "put {this} on this {x}",
    "try {this} on the {x}",
    "let the {x} try on {this}",
    "the {x} of the second picture should wear the {thing} of the first",
    "put the {thing} of the first picture on the {x}",
    "give {this} to the {x}",
    "dress the {x} with the {thing} of the first picture",
)
THESE = {"hat": "this hat", "sunglasses": "these sunglasses"}
BARE = [name for name in OBJECTS if name not in WEARABLE]
TOGETHER = (
    "the animals of both pictures together",
    "put the animals of both pictures together",
    "bring them together in one picture",
    "draw the animals of both pictures in one picture",
    "draw all of these animals together",
    "make one picture with the animals of both",
    "all animals of the two pictures in one",
    "let these animals meet in one picture",
)


def try_on(rng: random.Random, unseen: bool | None = False) -> Example:
    """A hat or sunglasses in the first picture, for an animal of the second one to wear."""
    while True:
        thing, named, avoid = rng.choice(WEARABLE), rng.random() < 0.5, unseen is False
        shown = _scene(rng, list(OBJECTS), rng.choice((1, 2)) if named else 1, avoid, [thing])
        source = _scene(rng, BARE, rng.choices((1, 2, 3), (0.3, 0.4, 0.3))[0], avoid, [rng.choice(FACES)])
        target = dressed(rng, source, thing)
        clear = target != source and apart(target, GAP)
        if clear and unseen in (None, any(map(is_unseen, (shown, source, target)))):
            break
    old, new = next(pair for pair in zip(source.stickers, target.stickers, strict=True) if pair[0] != pair[1])
    words = rng.choice(NAMED if named else SEEN).format(x=called(rng, source, old), this=THESE[thing], thing=thing)
    expected = Expected(
        HERE,
        "try_on",
        source=source,
        target=target,
        names=(old.name, thing),
        touched=boxes(target, new),
        pictures=(shown, source),
    )
    messages = [user(Image(shown), Image(source), styled(rng, words)), assistant(HERE, Image(target))]
    return Example("try_on", messages, [expected])


def together(rng: random.Random, unseen: bool | None = False) -> Example:
    """One or two animals in each of two pictures: those of the first, then those of the second from left to right, on
    the background of the second."""
    while True:
        first, second = (_scene(rng, ANIMALS, rng.choice((1, 2)), unseen is False) for _ in range(2))
        asks = tuple(Ask(sticker.name) for scene in (first, second) for sticker in left_to_right(scene))
        target = compose(asks, second.background)
        clear = len(set(asks)) == len(asks) and apart(target) and in_order(first) and in_order(second)
        if clear and unseen in (None, any(map(is_unseen, (first, second, target)))):
            break
    answer = explanation(asks, second.background)
    expected = Expected(answer, "together", source=second, target=target, asked=asks, pictures=(first, second))
    prompt = user(Image(first), Image(second), styled(rng, rng.choice(TOGETHER)))
    return Example("together", [prompt, assistant(answer, Image(target))], [expected])


def _scene(rng: random.Random, pool: list[str], count: int, avoid: bool, first: list[str] | None = None) -> Scene:
    """Different things, in a row as in drawings or at random places, with space around each."""
    while True:
        background = rng.choice(list(BACKGROUNDS))
        names = pick_names(rng, count, background, avoid, first, pool)
        rng.shuffle(names)
        scene = compose(map(Ask, names), background)
        if rng.random() < 0.6:
            scene = sample(rng, count=count, background=background, names=names, unseen=None)
        if len(scene.stickers) == count and apart(scene, GAP) and not (avoid and is_unseen(scene)):
            return scene
