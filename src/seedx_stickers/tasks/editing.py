"""Editing: a scene, an instruction, and the scene after exactly this change."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable

from seedx.messages import Image, assistant, user
from seedx_stickers.art import BACKGROUNDS, OBJECTS
from seedx_stickers.layout import Ask, apart, boxes, compose
from seedx_stickers.scenes import PLACES, Corners, Scene, Sticker, is_unseen, sample
from seedx_stickers.tasks.drawing import BACKGROUND_WORDS, HERE
from seedx_stickers.tasks.example import Example, Expected
from seedx_stickers.tasks.reading import WEARABLE, dressed, pick_names, with_changed
from seedx_stickers.tasks.words import FAR, a, at, called, styled

ADDED = 0.3  # size of a sticker that an edit adds
GAP = 0.01  # the least distance between stickers, as in sampled scenes
EVERYWHERE: Corners = (0.0, 0.0, 1.0, 1.0)

ADD = (
    "add {a} {at}",
    "put {a} {at}",
    "please add {a} {at}",
    "draw {a} {at} of the picture",
    "I want {a} {at}",
    "place {a} {at}",
    "insert {a} {at}",
)
REMOVE = (
    "remove the {x}",
    "take the {x} away",
    "delete the {x}",
    "please remove the {x}",
    "erase the {x}",
    "get rid of the {x}",
    "make the picture without the {x}",
)
REPLACE = (
    "replace the {x} with {a}",
    "turn the {x} into {a}",
    "change the {x} into {a}",
    "change the {x} to {a}",
    "swap the {x} for {a}",
    "make the {x} {a}",
    "put {a} in place of the {x}",
)
MOVE = (
    "move the {x} to the {place}",
    "put the {x} {at}",
    "please move the {x} to the {place}",
    "shift the {x} to the {place}",
    "the {x} should be {at}",
    "place the {x} {at}",
    "bring the {x} to the {place}",
)
COLOUR = (
    "make the background {b}",
    "change the background to {b}",
    "give it {a} background",
    "use {a} background",
    "I want {a} background",
    "paint the background {b}",
    "put it on {a} background",
)
SETTING = (
    "change the background to {the}",
    "make the background {the}",
    "put it {on}",
    "move everything to {the}",
    "I want it {on}",
    "set it {on}",
)
SETTING_NAMES = {"beach": "the beach", "meadow": "a meadow", "night": "night", "snow": "snow"}
WEAR = (
    "put {a} on the {x}",
    "give the {x} {a}",
    "give {a} to the {x}",
    "the {x} should wear {a}",
    "let the {x} wear {a}",
    "make the {x} wear {a}",
    "dress the {x} with {a}",
)


@dataclasses.dataclass(frozen=True)
class Edit:
    """One change: the instruction, the scene after it, and fields of the same names as in `Expected`."""

    instruction: str
    target: Scene
    names: tuple[str, ...]
    touched: tuple[Corners, ...]
    place: str = ""


def edit(rng: random.Random, unseen: bool | None = False, operation: str = "") -> Example:
    """A random operation of `OPERATIONS`, or a given one, on a scene of one tile."""
    operation = operation or rng.choice(list(OPERATIONS))
    while True:
        source = scene_to_edit(rng, avoid=unseen is False)
        change = OPERATIONS[operation](rng, source)
        if change and apart(change.target, GAP):
            found = is_unseen(source) or is_unseen(change.target)
            if unseen in (None, found):
                break
    expected = expected_of(operation, source, change)
    messages = [user(Image(source), styled(rng, change.instruction)), assistant(HERE, Image(change.target))]
    return Example("edit", messages, [expected])


def expected_of(operation: str, source: Scene, change: Edit) -> Expected:
    return Expected(
        HERE, operation, (), source, change.target, names=change.names, place=change.place, touched=change.touched
    )


def scene_to_edit(rng: random.Random, avoid: bool) -> Scene:
    """One to three stickers, at random or in the order of a drawing; some animals wear something already."""
    while True:
        background = rng.choice(list(BACKGROUNDS))
        names = pick_names(rng, rng.choices((1, 2, 3), (0.25, 0.45, 0.3))[0], background, avoid)
        if rng.random() < 0.15:
            names[-1] = names[0]
        scene = compose([Ask(name) for name in names], background)
        if rng.random() < 0.65:
            scene = sample(rng, count=len(names), background=background, names=names, unseen=None)
        if rng.random() < 0.1:
            scene = dressed(rng, scene)
        if apart(scene, GAP) and not (avoid and is_unseen(scene)):
            return scene


def _chosen(rng: random.Random, scene: Scene) -> tuple[int, str] | None:
    """A sticker with an unambiguous name, and the name."""
    index = rng.randrange(len(scene.stickers))
    words = called(rng, scene, scene.stickers[index], side=True)
    return (index, words) if words else None


def _new(rng: random.Random, scene: Scene) -> str:
    names = {sticker.name for sticker in scene.stickers}
    return rng.choice([name for name in OBJECTS if name not in names])


def _add(rng: random.Random, scene: Scene) -> Edit | None:
    place = rng.choice(list(PLACES))
    name = _new(rng, scene)
    sticker = Sticker(name, *PLACES[place], ADDED)
    target = scene.with_stickers(*scene.stickers, sticker)
    words = rng.choice(ADD).format(a=a(name), at=at(place))
    return Edit(words, target, (name,), boxes(target, sticker), place)


def _remove(rng: random.Random, scene: Scene) -> Edit | None:
    if not (chosen := _chosen(rng, scene)):
        return None
    index, words = chosen
    sticker = scene.stickers[index]
    target = scene.with_stickers(*scene.stickers[:index], *scene.stickers[index + 1 :])
    return Edit(rng.choice(REMOVE).format(x=words), target, (sticker.name,), boxes(scene, sticker))


def _replace(rng: random.Random, scene: Scene) -> Edit | None:
    if not (chosen := _chosen(rng, scene)):
        return None
    index, words = chosen
    old, name = scene.stickers[index], _new(rng, scene)
    new = dataclasses.replace(old, name=name, wears=())
    target = with_changed(scene, index, new)
    touched = boxes(scene, old) + boxes(target, new)
    return Edit(rng.choice(REPLACE).format(x=words, a=a(name)), target, (old.name, name), touched)


def _move(rng: random.Random, scene: Scene) -> Edit | None:
    if not (chosen := _chosen(rng, scene)):
        return None
    index, words = chosen
    old, place = scene.stickers[index], rng.choice(list(PLACES))
    x, y = PLACES[place]
    if math.dist((x, y), (old.x, old.y)) < FAR:
        return None
    new = dataclasses.replace(old, x=x, y=y)
    target = with_changed(scene, index, new)
    words = rng.choice(MOVE).format(x=words, place=place, at=at(place))
    return Edit(words, target, (old.name,), boxes(scene, old) + boxes(target, new), place)


def _background(rng: random.Random, scene: Scene) -> Edit | None:
    name = rng.choice([name for name in BACKGROUNDS if name != scene.background])
    if BACKGROUNDS[name].colour:
        words = rng.choice(COLOUR).format(b=name, a=a(name))
    else:
        words = rng.choice(SETTING).format(the=SETTING_NAMES[name], on=rng.choice(BACKGROUND_WORDS[name]))
    return Edit(words, dataclasses.replace(scene, background=name), (name,), (EVERYWHERE,))


def _wear(rng: random.Random, scene: Scene) -> Edit | None:
    thing = rng.choice(WEARABLE)
    target = dressed(rng, scene, thing)
    for old, new in zip(scene.stickers, target.stickers, strict=True):
        if old != new and not old.wears:
            words = rng.choice(WEAR).format(a=a(thing), x=called(rng, scene, old))
            return Edit(words, target, (old.name, thing), boxes(target, new))
    return None


OPERATIONS: dict[str, Callable[[random.Random, Scene], Edit | None]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "background": _background,
    "wear": _wear,
}
