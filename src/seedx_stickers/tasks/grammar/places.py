"""Noun phrases and places in words of the grammar."""

from __future__ import annotations

import random

from seedx_stickers.art import OBJECTS
from seedx_stickers.scenes import Scene, Sticker
from seedx_stickers.tasks.grammar.expand import Wording
from seedx_stickers.tasks.grammar.nouns import a_noun, noun, nouns
from seedx_stickers.tasks.words import FAR, NUMBERS, joined


def at_words(w: Wording, place: str) -> str:
    """ "in the upper left corner"."""
    return w.part(f"at_{place.replace(' ', '_')}")


def to_words(w: Wording, place: str) -> str:
    """ "over to the left", for what moves."""
    rule = "to_middle" if place == "middle" else "to_corner" if " " in place else "to_place"
    return w.part(rule, place=place)


def phrase(w: Wording, scene: Scene, sticker: Sticker, side: bool = True) -> str | None:
    """An unambiguous name of one sticker, without article: "kitty", "car", "dog on the right"; None if there is none.

    Args:
        side: whether two of a kind may be told apart by their sides.
    """
    rng, thing = w.rng, OBJECTS[sticker.name]
    same = [other for other in scene.stickers if other.name == sticker.name]
    if len(same) == 1:
        kin = sum(OBJECTS[other.name].kind == thing.kind for other in scene.stickers)
        return noun(rng, thing.kind if kin == 1 and rng.random() < 0.5 else sticker.name)
    if len(same) > 2 or not side:
        return None
    other = same[1] if same[0] is sticker else same[0]
    dx, dy = sticker.x - other.x, sticker.y - other.y
    if max(abs(dx), abs(dy)) < FAR:
        return None
    across = abs(dx) >= abs(dy)
    place = ("left" if dx < 0 else "right") if across else ("top" if dy < 0 else "bottom")
    name = noun(rng, sticker.name)
    if across and rng.random() < 0.25:
        return f"{place} {name}"
    return f"{name} {'on' if across else 'at'} the {place}"


def counted_words(rng: random.Random, name: str, count: int = 1) -> str:
    """ "two puppies", "3 stars", "a pair of mugs"."""
    words = noun(rng, name)
    if count == 1:
        return words if rng.random() < 0.06 else f"one {words}" if rng.random() < 0.05 else a_noun(words)
    if count == 2 and rng.random() < 0.15:
        return f"{rng.choice(('a pair of', 'a couple of'))} {nouns(words)}"
    return f"{str(count) if rng.random() < 0.3 else NUMBERS[count]} {nouns(words)}"


def several(rng: random.Random, parts: list[str]) -> str:
    """ "a, b and c", or with other words between."""
    if len(parts) == 1:
        return parts[0]
    kind = rng.random()
    if kind < 0.6:
        return joined(parts)
    if kind < 0.75:
        return ", ".join(parts)
    if kind < 0.9:
        return f"{', '.join(parts[:-1])}, and {parts[-1]}" if len(parts) > 2 else " and ".join(parts)
    return " and ".join(parts)
