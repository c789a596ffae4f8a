"""Conversations in which a turn only makes sense after the one before.

    draw a dog            -> a dog           another one     -> two dogs
    draw a cow            -> a cow           put a tree beside it, bigger, make it day, swap them, now draw a pig
    give it a hat         -> with a hat      remove the hat  -> without

Things stand anywhere. A picture keeps the places of the one before, as far as there is room: its plan can copy them.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator

from seedx.messages import Image, Message, assistant, user
from seedx_stickers.art import BACKGROUNDS
from seedx_stickers.layout import SPACE, Ask, apart, in_order, scatter
from seedx_stickers.scenes import Scene, Sticker, held_out, is_unseen
from seedx_stickers.tasks.drawing import HERE, side_by_side
from seedx_stickers.tasks.example import Example, Expected
from seedx_stickers.tasks.grammar.expand import Wording
from seedx_stickers.tasks.grammar.makes import description
from seedx_stickers.tasks.grammar.nouns import a_noun, noun
from seedx_stickers.tasks.reading import FACES, WEARABLE, pick_names

SIZES = {"bigger": 1.35, "smaller": 0.65}  # factors of a sticker alone
SIZED = (0.25, 0.85)  # the least and the largest that it becomes
TRIES = 20  # to leave everything at its place, before all is placed anew

Step = tuple[str, Scene]  # what is said, and what the next picture shows


def asks_of(scene: Scene) -> tuple[Ask, ...]:
    """What a scene shows, in order of mention."""
    wears = {sticker.name: sticker.wears for sticker in scene.stickers}
    counts = Counter(sticker.name for sticker in scene.stickers)
    return tuple(Ask(name, count, wears=wears[name]) for name, count in counts.items())


def _more(w: Wording, scene: Scene) -> Step | None:
    (ask, *others) = asks_of(scene)
    if others or ask.count > 3 or ask.wears:
        return None
    return w.say("order_more"), next(_with_one_more(w.rng, scene, ask.name))


def _beside(w: Wording, scene: Scene) -> Step | None:
    if len(scene.stickers) > 1:
        return None
    (name,) = pick_names(w.rng, 2, scene.background, True, [scene.stickers[0].name])[1:]
    made = (each for each in _with_one_more(w.rng, scene, name) if side_by_side(each) and _left_to_right(each))
    return w.say("order", do=w.part("beside_it", a=a_noun(noun(w.rng, name)))), next(made)


def _with_one_more(rng: random.Random, scene: Scene, name: str) -> Iterator[Scene]:
    """Scenes with one more thing: at a free place; later with everything placed anew."""
    size = min(sticker.size for sticker in scene.stickers)
    for _ in range(TRIES):
        x, y = rng.uniform(size / 2, 1 - size / 2), rng.uniform(size / 2, 1 - size / 2)
        made = scene.with_stickers(*scene.stickers, Sticker(name, x, y, size))
        if apart(made, SPACE):
            yield in_order(made)
    asks = asks_of(scene.with_stickers(*scene.stickers, Sticker(name, 0, 0, size)))
    while True:
        yield scatter(rng, asks, scene.background)


def _left_to_right(scene: Scene) -> bool:
    return all(one.x < other.x for one, other in itertools.pairwise(scene.stickers))


def _size(w: Wording, scene: Scene) -> Step | None:
    (sticker, *others) = scene.stickers
    which = w.rng.choice(list(SIZES))
    size = sticker.size * SIZES[which]
    if others or sticker.wears or not SIZED[0] <= size <= SIZED[1]:
        return None
    x, y = (min(max(at, size / 2), 1 - size / 2) for at in (sticker.x, sticker.y))
    words = w.say("order", do=w.part(f"make_{which}"))
    return words, scene.with_stickers(dataclasses.replace(sticker, x=x, y=y, size=size))


def _swap(w: Wording, scene: Scene) -> Step | None:
    if len(scene.stickers) != 2 or len(asks_of(scene)) != 2:
        return None
    one, other = scene.stickers
    swapped = scene.with_stickers(
        dataclasses.replace(one, x=other.x, y=other.y), dataclasses.replace(other, x=one.x, y=one.y)
    )
    return (w.say("order", do=w.part("swap_them")), swapped) if apart(swapped) else None


def _day(w: Wording, scene: Scene) -> Step | None:
    """Day is a meadow; night is night."""
    dark = scene.background == "night"
    words = w.say("order", do=w.part("make_day" if dark else "make_night"))
    return words, dataclasses.replace(scene, background="meadow" if dark else "night")


def _hat(w: Wording, scene: Scene) -> Step | None:
    sticker, others = scene.stickers[0], scene.stickers[1:]
    if sticker.name not in FACES or sticker.name in [other.name for other in others]:
        return None
    if sticker.wears:
        words = w.say("order", do=w.part("undress_it", y=noun(w.rng, sticker.wears[0])))
        return words, scene.with_stickers(dataclasses.replace(sticker, wears=()), *others)
    if others:
        return None  # "it" would be either
    thing = w.rng.choice(WEARABLE)
    words = w.say("order", do=w.part("dress_it", a=a_noun(noun(w.rng, thing))))
    lower = (sticker.y + 0.03 * step for step in range(TRIES))  # a hat may need room above
    worn = (scene.with_stickers(dataclasses.replace(sticker, y=y, wears=(thing,))) for y in lower)
    found = next(filter(apart, worn), None)
    return (words, found) if found else None


def _new(w: Wording, scene: Scene) -> Step | None:
    """A new picture, which has nothing of the one before."""
    new = _first(w.rng, avoid=scene.stickers[0].name)
    return w.say("order_new", it=_described(w, new)), new


def _described(w: Wording, scene: Scene) -> str:
    named = None if scene.background == "white" else scene.background
    return description(w, asks_of(scene), named, side_by_side(scene))


STEPS: dict[str, Callable[[Wording, Scene], Step | None]] = {
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


def _first(rng: random.Random, avoid: str = "", background: str | None = None, unseen: bool = False) -> Scene:
    """A drawing of one or two things; `unseen`: it may hold a combination that never occurs in training."""
    while True:
        ground = background or (rng.choice(list(BACKGROUNDS)) if rng.random() < 0.6 else "white")
        kinds = rng.choices((1, 2), (0.65, 0.35))[0]
        names = pick_names(rng, kinds, ground, avoid=not unseen)
        if kinds == 1 and rng.random() < 0.45:
            names = [rng.choice(FACES)]
        if avoid not in names and (unseen or not any(held_out(name, ground) for name in names)):
            return scatter(rng, [Ask(name) for name in names], ground)


def follow_up(w: Wording, unseen: bool | None = False, step: str = "") -> Example:
    """A drawing and one or two turns after it; `step`: of the first one, a key of `STEPS`."""
    while True:
        dark = step == "day" and w.rng.random() < 0.5
        first = _first(w.rng, background="night" if dark else None, unseen=unseen is not False)
        it = _described(w, first)
        turns = [("draw", w.say("order_draw", do=w.part("draw_it", it=it), it=it), first)]
        for _ in range(w.rng.choice((1, 1, 2))):
            name = step if step and len(turns) == 1 else w.rng.choice(list(STEPS))
            w.held_out = False
            made = STEPS[name](w, turns[-1][2])
            if made is None:
                break
            turns.append((name, *made))
        scenes = [scene for _, _, scene in turns]
        if len(turns) > 1 and all(map(apart, scenes)) and unseen in (None, any(map(is_unseen, scenes))):
            return _example(turns)


def _example(turns: list[tuple[str, str, Scene]]) -> Example:
    messages: list[Message[Scene]] = []
    expected: list[Expected] = []
    before: Scene | None = None
    for name, prompt, scene in turns:
        messages += [user(prompt), assistant(HERE, Image(scene))]
        expected.append(Expected(HERE, name, source=before, target=scene, asked=asks_of(scene)))
        before = scene
    return Example("follow_up", messages, expected)


__all__ = ["RULES", "STEPS", "follow_up"]
