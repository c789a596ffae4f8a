"""Drawing from a description: the picture is `layout.compose` of the description, which determines it."""

from __future__ import annotations

import dataclasses
import random
from itertools import combinations

from seedx.messages import Image, assistant, user
from seedx_stickers.art import BACKGROUNDS, OBJECTS
from seedx_stickers.layout import Ask, apart, compose, neighbours, scatter
from seedx_stickers.scenes import PLACES, Scene, is_unseen
from seedx_stickers.tasks.example import Example, Expected
from seedx_stickers.tasks.reading import WEARABLE, pick_names
from seedx_stickers.tasks.words import a, at, counted, joined, on, styled

HERE = "Here it is."  # what the assistant says before every picture

PROMPTS = (
    "draw {it}",
    "please draw {it}",
    "can you draw {it}?",
    "make a picture of {it}",
    "please make a picture of {it}",
    "make an image of {it}",
    "a picture: {it}",
    "show me a picture of {it}",
    "I want a picture of {it}",
    "create an image of {it}",
    "paint {it}",
    "generate an image: {it}",
    "{it}",
)
BACKGROUND_WORDS = {
    "beach": ("on the beach", "at the beach"),
    "meadow": ("in a meadow", "on a meadow"),
    "night": ("at night", "in the night"),
    "snow": ("in the snow", "in snow"),
}


LEVEL = 0.12  # two things stand beside each other if their heights differ by no more


def draw(rng: random.Random, unseen: bool | None = False, placed: float = 0.6, scattered: bool = False) -> Example:
    """One to four things; the share `placed` names their places, three in four name a background.

    Args:
        scattered: things without places stand anywhere.
    """
    while True:
        background = rng.choice(list(BACKGROUNDS)) if rng.random() < 0.75 else None
        asks = _asks(rng, background or "white", placed, avoid=unseen is False)
        free = scattered and not any(ask.place for ask in asks)
        target = scatter(rng, asks, background) if free else compose(asks, background)
        if apart(target) and unseen in (None, is_unseen(target)):
            break
    form, beside = rng.choice(PROMPTS), not free or side_by_side(target)
    prompt = styled(rng, form.format(it=description(rng, asks, background, beside)))
    expected = Expected(HERE, "draw", target=target, asked=tuple(asks))
    return Example("draw", [user(prompt), assistant(HERE, Image(target))], [expected])


def side_by_side(scene: Scene) -> bool:
    """Whether all that is in a scene of two stickers may be called beside each other."""
    return len(scene.stickers) == 2 and abs(scene.stickers[0].y - scene.stickers[1].y) < LEVEL


def _asks(rng: random.Random, background: str, placed: float, avoid: bool) -> list[Ask]:
    kinds = rng.choices((1, 2, 3, 4), (0.25, 0.4, 0.2, 0.15))[0]
    asks = [Ask(name) for name in pick_names(rng, kinds, background, avoid)]
    if rng.random() < 0.12:
        faces = [index for index, ask in enumerate(asks) if OBJECTS[ask.name].face]
        for index in faces[:1]:
            asks[index] = dataclasses.replace(asks[index], wears=(rng.choice(WEARABLE),))
    if rng.random() < placed:
        return [dataclasses.replace(ask, place=place) for ask, place in zip(asks, _places(rng, kinds), strict=True)]
    if kinds < 4 and rng.random() < 0.45:
        index = rng.randrange(kinds)
        if not asks[index].wears:
            asks[index] = dataclasses.replace(asks[index], count=rng.randint(2, 5 - kinds))
    return asks


def _places(rng: random.Random, count: int) -> list[str]:
    """Different places; rarely neighbouring ones, because they make all stickers smaller."""
    close = rng.random() < 0.25
    while True:
        places = rng.sample(list(PLACES), count)
        if close or not any(neighbours(first, second) for first, second in combinations(places, 2)):
            return places


def description(rng: random.Random, asks: list[Ask], background: str | None, beside: bool = True) -> str:
    """ "a cat on the left and two stars, on the beach", in one of several wordings.

    Args:
        beside: two things may be said to be beside each other.
    """
    things = [_thing(rng, ask) for ask in asks]
    placed = any(ask.place for ask in asks)
    if len(things) == 2 and not placed and beside and rng.random() < 0.3:
        words = f"{things[0]} {rng.choice(('beside', 'next to'))} {things[1]}"
    else:
        words = joined(things)
    if background is None:
        return words
    colour = BACKGROUNDS[background].colour
    if colour and rng.random() < 0.1:
        return f"{a(background)} background with {words}"
    where = on(background)
    if rng.random() < 0.4:
        where = f"with {a(background)} background" if colour else rng.choice(BACKGROUND_WORDS[background])
    return f"{words}{',' if placed and rng.random() < 0.7 else ''} {where}"


def _thing(rng: random.Random, ask: Ask) -> str:
    words = counted(ask.name, ask.count, ask.wears)
    if ask.wears and rng.random() < 0.4:
        words = f"{a(ask.name)} wearing {joined([a(thing) for thing in ask.wears])}"
    if ask.place is None:
        return words
    corner = " " in ask.place and rng.random() < 0.3
    return f"{words} {at(ask.place)}{' corner' if corner else ''}"
