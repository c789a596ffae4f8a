"""The English of the stickers world: articles, plurals, places, ways to name one sticker among others."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from seedx_stickers.art import BACKGROUNDS, OBJECTS
from seedx_stickers.scenes import Scene, Sticker

PLURALS = {
    "mouse": "mice",
    "fish": "fish",
    "fox": "foxes",
    "butterfly": "butterflies",
    "octopus": "octopuses",
    "cactus": "cactuses",
    "strawberry": "strawberries",
    "sunglasses": "sunglasses",
}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
FAR = 0.25  # two of a kind are told apart by side when their centres are this far apart


def plural(name: str) -> str:
    return PLURALS.get(name, f"{name}s")


def a(name: str) -> str:
    """A name with its indefinite article: "a cat", "an owl", "sunglasses"."""
    if PLURALS.get(name) == name and name != "fish":
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def is_are(name: str) -> str:
    return "are" if name == "sunglasses" else "is"


def counted(name: str, count: int = 1, wears: Sequence[str] = ()) -> str:
    """ "two stars", "a dog with a hat"."""
    words = a(name) if count == 1 else f"{NUMBERS[count]} {plural(name)}"
    return f"{words} with {joined([a(thing) for thing in wears])}" if wears else words


def joined(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def at(place: str) -> str:
    """ "on the left", "at the top", "in the middle", "in the top left"."""
    preposition = {"left": "on", "right": "on", "top": "at", "bottom": "at"}.get(place, "in")
    return f"{preposition} the {place}"


def on(background: str) -> str:
    """ "on a blue background", "on the beach"."""
    return BACKGROUNDS[background].phrase


def styled(rng: random.Random, text: str) -> str:
    """The text as people type it: with or without a capital, with or without a final mark."""
    if text.endswith("?") and rng.random() < 0.15:
        text = text[:-1]
    elif text[-1].isalnum() and rng.random() < 0.25:
        text += "."
    return text[0].upper() + text[1:] if rng.random() < 0.5 else text


def called(rng: random.Random, scene: Scene, sticker: Sticker, side: bool = False) -> str | None:
    """An unambiguous name of this sticker without article; None if there is none.

    "cat"; "car" or "red car" when there is one car; with `side`, "dog on the right" when there are two far apart.
    """
    thing = OBJECTS[sticker.name]
    same = [other for other in scene.stickers if other.name == sticker.name]
    if len(same) == 1:
        kin = sum(OBJECTS[other.name].kind == thing.kind for other in scene.stickers)
        return thing.kind if kin == 1 and rng.random() < 0.5 else sticker.name
    if len(same) > 2 or not side:
        return None
    other = same[1] if same[0] is sticker else same[0]
    dx, dy = sticker.x - other.x, sticker.y - other.y
    if max(abs(dx), abs(dy)) < FAR:
        return None
    if abs(dx) >= abs(dy):
        return f"{sticker.name} {at('left' if dx < 0 else 'right')}"
    return f"{sticker.name} {at('top' if dy < 0 else 'bottom')}"


def normalise(answer: str) -> str:
    """The form in which answers are compared: it removes case, articles, punctuation, number words and list order.

    >>> normalise("Two stars and a cat.")
    '2 stars, cat'
    """
    words = re.sub(r"[^\w,]", " ", answer.lower())
    parts = re.split(r",|\band\b", words)
    return ", ".join(sorted(filter(None, (_bare(part) for part in parts))))


def _bare(part: str) -> str:
    kept = [word for word in part.split() if word not in ("a", "an", "the")]
    return " ".join(str(NUMBERS.index(word)) if word in NUMBERS[1:] else word for word in kept)
