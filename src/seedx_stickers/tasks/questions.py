"""Questions with one short answer, of eight types. Each maker gives (question, answer), or None if the scene has none.

A question is only made if its answer is unambiguous: the name fits one object alone, which is at least `MARGIN` away
from the border that decides the answer.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from seedx_stickers.art import BACKGROUNDS, OBJECTS
from seedx_stickers.scenes import PLACES, Scene, Sticker, box, place_of
from seedx_stickers.tasks.reading import in_order, listing, off_border
from seedx_stickers.tasks.words import a, at, called, counted, is_are, on, plural

MARGIN = 0.05
Turn = tuple[str, str]

ONE_THING = ("what is this?", "what do you see?", "what is it?", "what is in this picture?", "which thing is this?")
AT_PLACE = (
    "what is {at}?",
    "what do you see {at}?",
    "what is {at} of the picture?",
    "which thing is {at}?",
    "tell me what is {at}",
    "name the thing {at}",
)
WORN_BY = (
    "what does the {x} wear?",
    "what is the {x} wearing?",
    "what has the {x} put on?",
    "what is on the {x}?",
    "tell me what the {x} wears",
)
LIST = (
    "what is in the picture?",
    "what is in the image?",
    "list all things",
    "name everything in the picture",
    "what things are there?",
    "which things do you see?",
    "what can you see?",
    "list what you see",
)
HOW_MANY = (
    "how many {xs} are there?",
    "how many {xs} do you see?",
    "how many {xs} can you see?",
    "how many {xs} are in the picture?",
    "count the {xs}",
    "what is the number of {xs}?",
    "tell me how many {xs} there are",
)
COLOUR = (
    "what colour is the {x}?",
    "what color is the {x}?",
    "what is the colour of the {x}?",
    "which colour does the {x} have?",
    "tell me the colour of the {x}",
    "the {x} has which colour?",
)
BACKGROUND = (
    "what is the background?",
    "what is behind the things?",
    "what is in the background?",
    "which background is it?",
    "name the background",
    "what does the background show?",
)
BACKGROUND_COLOUR = (
    "what colour is the background?",
    "what color is the background?",
    "which colour is the background?",
    "what is the colour of the background?",
    "tell me the colour of the background",
)
WHERE = (
    "where {is} the {x}?",
    "where do you see the {x}?",
    "in which part of the picture {is} the {x}?",
    "in what place {is} the {x}?",
    "tell me where the {x} {is}",
    "where in the picture {is} the {x}?",
)
YES_NO = (
    "{is} there {a}?",
    "{is} there {a} in the picture?",
    "can you see {a}?",
    "do you see {a}?",
    "does the picture show {a}?",
    "{is} {a} in the image?",
    "do you find {a} here?",
)
BACKGROUND_YES_NO = ("is the background {x}?", "does it have {a} background?", "is it {on}?")
SETTING_YES_NO = ("is it {on}?", "is this {on}?", "are we {on}?")
# The words for each side, for "is the dog ... the cat?" and for "what is ... the cat?".
SIDES = {
    "left": ("left of", "to the left of", "on the left of"),
    "right": ("right of", "to the right of", "on the right of"),
    "above": ("above", "over", "higher than"),
    "below": ("below", "under", "lower than"),
}
OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}


def what(rng: random.Random, scene: Scene) -> Turn | None:
    wearer = [s for s in scene.stickers if s.wears]
    faces = wearer or [s for s in scene.stickers if OBJECTS[s.name].face and called(rng, scene, s)]
    if faces and rng.random() < (0.6 if wearer else 0.04):
        face = rng.choice(faces)
        question = rng.choice(WORN_BY).format(x=called(rng, scene, face))
        return question, a(face.wears[0]) if face.wears else "nothing"
    if len(scene.stickers) == 1 and rng.random() < 0.5:
        return rng.choice(ONE_THING), _named(scene.stickers[0])
    places = list(PLACES)
    rng.shuffle(places)
    for place in places:
        if sticker := alone_at(scene, place):
            return rng.choice(AT_PLACE).format(at=at(place)), _named(sticker)
    return None


def _named(sticker: Sticker) -> str:
    return counted(sticker.name, wears=sticker.wears)


def alone_at(scene: Scene, place: str) -> Sticker | None:
    """The only sticker at a place; a side ("left") means the whole side of the picture."""
    near = [s for s in scene.stickers if _at(s, place, MARGIN)]
    return near[0] if len(near) == 1 and _at(near[0], place, -MARGIN) else None


def _at(sticker: Sticker, place: str, slack: float) -> bool:
    low, high = 1 / 3 + slack, 2 / 3 - slack
    x, y = sticker.x, sticker.y
    if place == "middle":
        return max(abs(x - 0.5), abs(y - 0.5)) < 1 / 6 + slack
    sides = {"left": x < low, "right": x > high, "top": y < low, "bottom": y > high}
    return all(sides[side] for side in place.split())


def list_all(rng: random.Random, scene: Scene) -> Turn | None:
    return (rng.choice(LIST), listing(scene)) if in_order(scene) else None


def how_many(rng: random.Random, scene: Scene) -> Turn | None:
    words, count = rng.choice(scene.stickers).name, 0
    roll = rng.random()
    if roll < 0.1 and not any(s.wears for s in scene.stickers):
        words, count = "thing", len(scene.stickers)
    elif roll < 0.2:
        words = absent(rng, scene)
    else:
        if rng.random() < 0.4:
            words = OBJECTS[words].kind
        count = sum(words in (s.name, OBJECTS[s.name].kind) for s in scene.stickers)
    return rng.choice(HOW_MANY).format(xs=plural(words)), str(count)


def absent(rng: random.Random, scene: Scene) -> str:
    """The name of an object that is not in the scene, half of the time one similar to an object in it."""
    there = {name for s in scene.stickers for name in (s.name, *s.wears)}
    away = [name for name in OBJECTS if name not in there]
    like = OBJECTS[rng.choice(scene.stickers).name]
    kin = [name for name in away if OBJECTS[name].kind == like.kind]
    close = kin or [name for name in away if OBJECTS[name].group == like.group]
    return rng.choice(close if close and rng.random() < 0.5 else away)


def colour(rng: random.Random, scene: Scene) -> Turn | None:
    kinds = Counter(OBJECTS[s.name].kind for s in scene.stickers)
    choices = [OBJECTS[s.name] for s in scene.stickers if OBJECTS[s.name].colour and kinds[OBJECTS[s.name].kind] == 1]
    if not choices:
        return None
    thing = rng.choice(choices)
    return rng.choice(COLOUR).format(x=thing.kind), thing.colour or ""


def background(rng: random.Random, scene: Scene) -> Turn | None:
    plain = BACKGROUNDS[scene.background].colour
    return rng.choice(BACKGROUND_COLOUR if plain and rng.random() < 0.6 else BACKGROUND), scene.background


def where(rng: random.Random, scene: Scene) -> Turn | None:
    clear = [s for s in scene.stickers if off_border(s.x, MARGIN) and off_border(s.y, MARGIN)]
    choices = [(name, s) for s in clear if (name := called(rng, scene, s))]
    if not choices:
        return None
    name, sticker = rng.choice(choices)
    return rng.choice(WHERE).format(x=name, **{"is": is_are(name)}), place_of(sticker.x, sticker.y)


def yes_no(rng: random.Random, scene: Scene) -> Turn | None:
    yes = rng.random() < 0.5
    if rng.random() < 0.15:
        name = scene.background if yes else rng.choice([b for b in BACKGROUNDS if b != scene.background])
        wordings = BACKGROUND_YES_NO if BACKGROUNDS[name].colour else SETTING_YES_NO
        return rng.choice(wordings).format(x=name, a=a(name), on=on(name)), _yes(yes)
    name = rng.choice(scene.stickers).name if yes else absent(rng, scene)
    kind = OBJECTS[name].kind
    if rng.random() < 0.3 and (yes or not any(OBJECTS[s.name].kind == kind for s in scene.stickers)):
        name = kind
    return rng.choice(YES_NO).format(a=a(name), **{"is": is_are(name)}), _yes(yes)


def _yes(right: bool) -> str:
    return "yes" if right else "no"


def relation(rng: random.Random, scene: Scene) -> Turn | None:
    named = [(name, s) for s in scene.stickers if (name := called(rng, scene, s))]
    rng.shuffle(named)
    sides = list(SIDES)
    rng.shuffle(sides)
    if rng.random() < 0.5:
        return _which(rng, scene, named, sides)
    yes = rng.random() < 0.5
    for first, one in named:
        for second, other in named:
            for side in sides:
                if one is not other and beyond(scene, one, other, side if yes else OPPOSITE[side]):
                    words = rng.choice(SIDES[side])
                    return f"{is_are(first)} the {first} {words} the {second}?", _yes(yes)
    return None


def _which(rng: random.Random, scene: Scene, named: list[tuple[str, Sticker]], sides: list[str]) -> Turn | None:
    for name, sticker in named:
        for side in sides:
            others = [s for s in scene.stickers if s is not sticker]
            there = [s for s in others if _distance(s, sticker, side) > 0]
            if len(there) == 1 and beyond(scene, there[0], sticker, side):
                return f"what is {rng.choice(SIDES[side])} the {name}?", _named(there[0])
    return None


def _distance(one: Sticker, other: Sticker, side: str) -> float:
    """How far the centre of `one` lies on that side of the centre of `other`."""
    return {"left": other.x - one.x, "right": one.x - other.x, "above": other.y - one.y, "below": one.y - other.y}[side]


def beyond(scene: Scene, one: Sticker, other: Sticker, side: str) -> bool:
    """Whether the whole of `one` lies on that side of the whole of `other`."""
    x0, y0, x1, y1 = box(scene, one)
    left, top, right, bottom = box(scene, other)
    gap = {"left": left - x1, "right": x0 - right, "above": top - y1, "below": y0 - bottom}[side]
    return gap > 0 and _distance(one, other, side) > 2 * MARGIN


QUESTIONS: dict[str, Callable[[random.Random, Scene], Turn | None]] = {
    "what": what,
    "list": list_all,
    "how_many": how_many,
    "colour": colour,
    "background": background,
    "where": where,
    "yes_no": yes_no,
    "relation": relation,
}
# The kind of scene that a type of question needs.
FLAVOUR = {"colour": "coloured", "how_many": "repeated"}
