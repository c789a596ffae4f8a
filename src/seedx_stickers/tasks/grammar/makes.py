"""Drawings and edits in words of the grammar; what is drawn is what `tasks/drawing.py` and `tasks/editing.py` draw."""

from __future__ import annotations

import dataclasses
import math
import random

from seedx.messages import Image, assistant, user
from seedx_stickers.art import BACKGROUNDS, OBJECTS
from seedx_stickers.layout import Ask, apart, boxes
from seedx_stickers.scenes import PLACES, Scene, Sticker, is_unseen
from seedx_stickers.tasks.drawing import HERE, draw, side_by_side
from seedx_stickers.tasks.editing import ADDED, EVERYWHERE, GAP, SETTING_NAMES, Edit, expected_of, scene_to_edit
from seedx_stickers.tasks.example import Example
from seedx_stickers.tasks.grammar.expand import Wording
from seedx_stickers.tasks.grammar.nouns import a_noun, noun
from seedx_stickers.tasks.grammar.places import at_words, counted_words, phrase, several, to_words
from seedx_stickers.tasks.reading import WEARABLE, dressed, with_changed
from seedx_stickers.tasks.words import FAR, a, called


def description(w: Wording, asks: tuple[Ask, ...], background: str | None, beside: bool = True) -> str:
    """What a drawing shows, in words; `beside`: two things may be said to be beside each other."""
    rng = w.rng
    things = [_thing(w, ask) for ask in asks]
    placed = any(ask.place for ask in asks)
    if len(things) == 2 and not placed and beside and rng.random() < 0.4:
        words = f"{things[0]} {w.part('beside')} {things[1]}"
    else:
        words = several(rng, things)
    if background is None:
        return words
    where = ground_words(w, background)
    if rng.random() < 0.06 and BACKGROUNDS[background].colour:
        return f"{a(background)} background with {words}"
    if rng.random() < 0.05:
        return f"{where}, {words}"
    return f"{words}{',' if placed and rng.random() < 0.6 else ''} {where}"


def ground_words(w: Wording, background: str) -> str:
    if BACKGROUNDS[background].colour:
        name = rng_colour(w.rng, background)
        return w.part("colour_ground", b=name, ab=a(name))
    return w.part(background)


def rng_colour(rng: random.Random, name: str) -> str:
    """A colour's name: "gray" for grey, "violet" for purple, at times "light blue"."""
    other = {"grey": ("gray",), "purple": ("violet", "lilac"), "pink": ("rosy",), "white": ("plain white",)}
    return rng.choice(other[name]) if name in other and rng.random() < 0.3 else name


def _thing(w: Wording, ask: Ask) -> str:
    words = counted_words(w.rng, ask.name, ask.count)
    if ask.wears:
        words = f"{words} {w.part('wearing')} {a_noun(noun(w.rng, ask.wears[0]))}"
    return f"{words} {at_words(w, ask.place)}" if ask.place else words


def drawing(w: Wording, unseen: bool | None = False, placed: float = 0.5, scattered: bool = False) -> Example:
    """What `tasks.drawing.draw` draws, asked for in other words."""
    (expected,) = draw(w.rng, unseen, placed, scattered).expected
    target = expected.target
    assert target is not None
    named = None if target.background == "white" and w.rng.random() < 0.6 else target.background
    beside = not scattered or side_by_side(target)
    prompt = w.say("order_draw", do=w.part("draw_it", it=(it := description(w, expected.asked, named, beside))), it=it)
    return Example("draw", [user(prompt), assistant(HERE, Image(target))], [expected])


def _order(w: Wording, order: str, wish: str, **values: str) -> str:
    """An order, or at times the wish that it be so."""
    if w.rng.random() < 0.25:
        return w.say(wish, **values)
    return w.say("order", do=w.part(order, **values))


def _chosen(w: Wording, scene: Scene) -> tuple[int, str] | None:
    index = w.rng.randrange(len(scene.stickers))
    words = phrase(w, scene, scene.stickers[index])
    return (index, words) if words else None


def _new(w: Wording, scene: Scene) -> str:
    there = {sticker.name for sticker in scene.stickers}
    return w.rng.choice([name for name in OBJECTS if name not in there])


def _add(w: Wording, scene: Scene) -> Edit | None:
    place, name = w.rng.choice(list(PLACES)), _new(w, scene)
    sticker = Sticker(name, *PLACES[place], ADDED)
    target = scene.with_stickers(*scene.stickers, sticker)
    words = _order(w, "add", "want_add", a=a_noun(noun(w.rng, name)), at=at_words(w, place))
    return Edit(words, target, (name,), boxes(target, sticker), place)


def _remove(w: Wording, scene: Scene) -> Edit | None:
    if not (chosen := _chosen(w, scene)):
        return None
    index, words = chosen
    sticker = scene.stickers[index]
    target = scene.with_stickers(*scene.stickers[:index], *scene.stickers[index + 1 :])
    return Edit(_order(w, "remove", "want_remove", x=words), target, (sticker.name,), boxes(scene, sticker))


def _replace(w: Wording, scene: Scene) -> Edit | None:
    if not (chosen := _chosen(w, scene)):
        return None
    index, words = chosen
    old, name = scene.stickers[index], _new(w, scene)
    new = dataclasses.replace(old, name=name, wears=())
    target = with_changed(scene, index, new)
    order = _order(w, "replace", "want_replace", x=words, a=a_noun(noun(w.rng, name)))
    return Edit(order, target, (old.name, name), boxes(scene, old) + boxes(target, new))


def _move(w: Wording, scene: Scene) -> Edit | None:
    if not (chosen := _chosen(w, scene)):
        return None
    index, words = chosen
    old, place = scene.stickers[index], w.rng.choice(list(PLACES))
    x, y = PLACES[place]
    if math.dist((x, y), (old.x, old.y)) < FAR:
        return None
    new = dataclasses.replace(old, x=x, y=y)
    target = with_changed(scene, index, new)
    order = _order(w, "move", "want_move", x=words, to=to_words(w, place), at=at_words(w, place))
    return Edit(order, target, (old.name,), boxes(scene, old) + boxes(target, new), place)


def _background(w: Wording, scene: Scene) -> Edit | None:
    name = w.rng.choice([name for name in BACKGROUNDS if name != scene.background])
    if BACKGROUNDS[name].colour:
        words = rng_colour(w.rng, name)
        order = _order(w, "recolour", "want_recolour", b=words, ab=a(words))
    else:
        order = _order(w, "resettle", "want_resettle", the=SETTING_NAMES[name], on=w.part(name))
    return Edit(order, dataclasses.replace(scene, background=name), (name,), (EVERYWHERE,))


def _wear(w: Wording, scene: Scene) -> Edit | None:
    thing = w.rng.choice(WEARABLE)
    target = dressed(w.rng, scene, thing)
    for old, new in zip(scene.stickers, target.stickers, strict=True):
        if old != new and not old.wears:
            words = noun(w.rng, called(w.rng, scene, old) or old.name)
            order = _order(w, "wear", "want_wear", x=words, a=a_noun(noun(w.rng, thing)))
            return Edit(order, target, (old.name, thing), boxes(target, new))
    return None


def _undress(w: Wording, scene: Scene) -> Edit | None:
    """Take off what an animal wears."""
    for index, old in enumerate(scene.stickers):
        if old.wears and sum(other.name == old.name for other in scene.stickers) == 1:
            new = dataclasses.replace(old, wears=())
            target = with_changed(scene, index, new)
            words = noun(w.rng, called(w.rng, scene, old) or old.name)
            order = w.say("order", do=w.part("undress", x=words, y=noun(w.rng, old.wears[0])))
            return Edit(order, target, (old.name, old.wears[0]), boxes(scene, old))
    return None


EDITS = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "background": _background,
    "wear": _wear,
    "undress": _undress,
}


def edited(w: Wording, unseen: bool | None = False, operation: str = "") -> Example:
    """One change of a scene of one tile."""
    rng = w.rng
    operation = operation or rng.choice(list(EDITS))
    while True:
        source = scene_to_edit(rng, avoid=unseen is False)
        if operation == "undress":
            source = dressed(rng, source)
        w.held_out = False
        change = EDITS[operation](w, source)
        if change and apart(change.target, GAP):
            found = is_unseen(source) or is_unseen(change.target)
            if unseen in (None, found):
                break
    expected = expected_of("remove" if operation == "undress" else operation, source, change)
    return Example("edit", [user(Image(source), change.instruction), assistant(HERE, Image(change.target))], [expected])
