"""Conversations in which a turn only makes sense after the one before.

    draw a dog            -> a dog           another one     -> two dogs
    draw a cow            -> a cow           put a tree beside it, bigger, make it day, swap them, now draw a pig
    give it a hat         -> with a hat      remove the hat  -> without

Each drawing is the composed scene of a description, so that it follows from the conversation.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from dataclasses import dataclass

from seedx.messages import Image, Message, assistant, user
from seedx_stickers.art import BACKGROUNDS
from seedx_stickers.layout import Ask, apart, compose
from seedx_stickers.scenes import Scene, held_out, is_unseen
from seedx_stickers.tasks.drawing import HERE
from seedx_stickers.tasks.example import Example, Expected
from seedx_stickers.tasks.grammar.expand import Wording
from seedx_stickers.tasks.grammar.makes import description
from seedx_stickers.tasks.grammar.nouns import a_noun, noun
from seedx_stickers.tasks.reading import FACES, WEARABLE, pick_names

SIZES = {"bigger": 1.35, "smaller": 0.65}  # factors of a sticker alone


@dataclass(frozen=True)
class Drawn:
    """What the conversation has drawn so far: one or two kinds of things, and how large they are."""

    asks: tuple[Ask, ...]
    background: str
    scale: float = 1.0

    def scene(self) -> Scene:
        scene = compose(self.asks, self.background)
        return scene.with_stickers(*(dataclasses.replace(s, size=s.size * self.scale) for s in scene.stickers))


Step = tuple[str, Drawn]


def _more(w: Wording, drawn: Drawn) -> Step | None:
    (ask, *others) = drawn.asks
    if others or ask.count > 3 or ask.wears:
        return None
    return w.say("order_more"), Drawn((dataclasses.replace(ask, count=ask.count + 1),), drawn.background)


def _beside(w: Wording, drawn: Drawn) -> Step | None:
    if len(drawn.asks) > 1 or drawn.asks[0].count > 1:
        return None
    (name,) = pick_names(w.rng, 2, drawn.background, True, [drawn.asks[0].name])[1:]
    words = w.say("order", do=w.part("beside_it", a=a_noun(noun(w.rng, name))))
    return words, Drawn((*drawn.asks, Ask(name)), drawn.background)


def _size(w: Wording, drawn: Drawn) -> Step | None:
    if len(drawn.asks) > 1 or drawn.asks[0].count > 1 or drawn.scale != 1 or drawn.asks[0].wears:
        return None
    which = w.rng.choice(list(SIZES))
    return w.say("order", do=w.part(f"make_{which}")), dataclasses.replace(drawn, scale=SIZES[which])


def _swap(w: Wording, drawn: Drawn) -> Step | None:
    if len(drawn.asks) != 2 or any(ask.count > 1 for ask in drawn.asks):
        return None
    return w.say("order", do=w.part("swap_them")), dataclasses.replace(drawn, asks=drawn.asks[::-1])


def _day(w: Wording, drawn: Drawn) -> Step | None:
    """Day is a meadow; night is night."""
    dark = drawn.background == "night"
    words = w.say("order", do=w.part("make_day" if dark else "make_night"))
    return words, dataclasses.replace(drawn, background="meadow" if dark else "night")


def _hat(w: Wording, drawn: Drawn) -> Step | None:
    (ask, *others) = drawn.asks
    if ask.count > 1 or ask.name not in FACES:
        return None
    if ask.wears:
        words = w.say("order", do=w.part("undress_it", y=noun(w.rng, ask.wears[0])))
        return words, dataclasses.replace(drawn, asks=(dataclasses.replace(ask, wears=()), *others))
    if others:
        return None  # "it" would be either
    thing = w.rng.choice(WEARABLE)
    words = w.say("order", do=w.part("dress_it", a=a_noun(noun(w.rng, thing))))
    return words, dataclasses.replace(drawn, asks=(dataclasses.replace(ask, wears=(thing,)),))


def _new(w: Wording, drawn: Drawn) -> Step | None:
    """A new picture, which has nothing of the one before."""
    new = _first(w.rng, avoid=drawn.asks[0].name)
    named = None if new.background == "white" else new.background
    it = description(w, new.asks, named)
    return w.say("order_new", it=it), new


STEPS: dict[str, Callable[[Wording, Drawn], Step | None]] = {
    "more": _more,
    "beside": _beside,
    "size": _size,
    "swap": _swap,
    "day": _day,
    "hat": _hat,
    "new": _new,
}

RULES: dict[str, tuple[str, ...]] = {
    "order_more": (
        "another one", "one more", "another one please", "and another", "add another one", "i want one more", "again, one more of it", "draw one more", "give me another", "make it one more", "and one more of these", "can i have another one?", "one more, please",
    ),
    "beside_it": ("put {a} beside it", "add {a} next to it", "draw {a} beside it", "place {a} next to it", "and {a} beside it", "give it {a} as company", "set {a} alongside it", "put {a} to its right", "add {a} to the right of it"),
    "make_bigger": ("make it bigger", "bigger", "make it larger", "a bit bigger", "enlarge it", "it should be bigger", "scale it up", "larger please", "blow it up", "increase its size", "make it huge"),
    "make_smaller": ("make it smaller", "smaller", "shrink it", "a bit smaller", "it should be smaller", "scale it down", "make it tiny", "reduce its size", "smaller please", "make it little"),
    "swap_them": ("swap them", "swap the two", "exchange their places", "switch them", "let them change places", "change places", "the other way round", "swap their places", "put the left one on the right and the right one on the left", "reverse them"),
    "make_day": ("make it day", "let it be day", "turn the night into day", "now by day", "switch to daytime", "make it daytime", "let the sun rise", "i want it by day", "the same by day"),
    "make_night": ("make it night", "let it be night", "turn it into night", "now at night", "switch to night", "make it dark", "the same at night", "i want it at night", "let it get dark"),
    "dress_it": ("give it {a}", "put {a} on it", "let it wear {a}", "it should wear {a}", "dress it with {a}", "make it wear {a}", "it needs {a}", "now with {a}"),
    "undress_it": ("remove the {y}", "take the {y} off", "take off the {y}", "without the {y}", "now without the {y}", "get rid of the {y}", "no {y} please", "take its {y} away", "delete the {y} again", "lose the {y}"),
    "order_new": ("draw {it}", "now draw {it}", "now {it}", "next: {it}", "a new picture: {it}", "something else: {it}", "make a new one with {it}", "forget that, draw {it}", "now i want {it}", "paint {it} instead", "and now a picture of {it}"),
}  # fmt: skip


def _first(rng: random.Random, avoid: str = "") -> Drawn:
    while True:
        background = rng.choice(list(BACKGROUNDS)) if rng.random() < 0.6 else "white"
        kinds = rng.choices((1, 2), (0.65, 0.35))[0]
        names = pick_names(rng, kinds, background)
        if kinds == 1 and rng.random() < 0.45:
            names = [rng.choice(FACES)]
        if avoid not in names and not any(held_out(name, background) for name in names):
            return Drawn(tuple(Ask(name) for name in names), background)


def follow_up(w: Wording, unseen: bool | None = False, step: str = "") -> Example:
    """A drawing and one or two turns after it; `step`: of the first one, a key of `STEPS`."""
    while True:
        drawn = _first(w.rng)
        if step == "day" and w.rng.random() < 0.5:
            drawn = dataclasses.replace(drawn, background="night")
        named = None if drawn.background == "white" else drawn.background
        it = description(w, drawn.asks, named)
        turns = [("draw", w.say("order_draw", do=w.part("draw_it", it=it), it=it), drawn)]
        for _ in range(w.rng.choice((1, 1, 2))):
            name = step if step and len(turns) == 1 else w.rng.choice(list(STEPS))
            w.held_out = False
            made = STEPS[name](w, turns[-1][2])
            if made is None:
                break
            turns.append((name, *made))
        scenes = [turn[2].scene() for turn in turns]
        if len(turns) > 1 and all(map(apart, scenes)) and unseen in (None, any(map(is_unseen, scenes))):
            return _example(turns, scenes)


def _example(turns: list[tuple[str, str, Drawn]], scenes: list[Scene]) -> Example:
    messages: list[Message[Scene]] = []
    expected: list[Expected] = []
    before: Scene | None = None
    for (name, prompt, drawn), scene in zip(turns, scenes, strict=True):
        messages += [user(prompt), assistant(HERE, Image(scene))]
        expected.append(Expected(HERE, name, source=before, target=scene, asked=drawn.asks))
        before = scene
    return Example("follow_up", messages, expected)


__all__ = ["RULES", "STEPS", "follow_up"]
