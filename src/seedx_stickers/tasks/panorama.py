"""Wide panoramas with many small things, which only the tiles show clearly, not the thumbnail."""

from __future__ import annotations

import random

from seedx_stickers.scenes import Scene, is_unseen, sample
from seedx_stickers.tasks.questions import MARGIN, Turn, how_many, relation, yes_no
from seedx_stickers.tasks.reading import off_border
from seedx_stickers.tasks.words import called, counted, is_are

SIZES = ((384, 96), (512, 128), (768, 192), (1024, 256))
SMALL = (0.2, 0.4)  # sizes of the things, of the shorter side

THIRD = (
    "{is} the {x} in the left, middle or right part?",
    "left, middle or right: where {is} the {x}?",
    "in which third {is} the {x}, left, middle or right?",
    "which part holds the {x}: left, middle or right?",
    "tell me if the {x} {is} left, middle or right",
)
END = (
    "what is farthest {side}?",
    "what is the last thing on the {side}?",
    "which thing is closest to the {side} border?",
    "name the thing farthest to the {side}",
    "what is at the {side} end?",
)


def panorama_scene(rng: random.Random, unseen: bool | None = False) -> Scene:
    """Four times as wide as high, with six to twelve small things."""
    while True:
        scene = sample(rng, rng.choice(SIZES), rng.randint(6, 12), sizes=SMALL, unseen=unseen)
        if len(scene.stickers) >= 6 and unseen in (None, is_unseen(scene)):
            return scene


def third(rng: random.Random, scene: Scene) -> Turn | None:
    choices = [(name, s) for s in scene.stickers if off_border(s.x, MARGIN) and (name := called(rng, scene, s))]
    if not choices:
        return None
    name, sticker = rng.choice(choices)
    answer = ("left", "middle", "right")[int(3 * sticker.x)]
    return rng.choice(THIRD).format(x=name, **{"is": is_are(name)}), answer


def end(rng: random.Random, scene: Scene) -> Turn | None:
    side = rng.choice(("left", "right"))
    first, second = sorted(scene.stickers, key=lambda s: s.x if side == "left" else -s.x)[:2]
    if abs(first.x - second.x) < 0.03:
        return None
    return rng.choice(END).format(side=side), counted(first.name)


PANORAMA_QUESTIONS = {"how_many": how_many, "yes_no": yes_no, "relation": relation, "where": third, "what": end}
