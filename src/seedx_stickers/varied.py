"""Scenes in other looks: `varied` for training, `LOOKS` one change at a time for evaluation."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from functools import partial

from seedx_stickers.art import OBJECTS
from seedx_stickers.houses import TRAINED, House, has
from seedx_stickers.looks import Ground, Paint, any_colour, free_ground, sample_ground
from seedx_stickers.scenes import Scene, Sticker

TURN = 25.0  # degrees, the largest turn of a sticker in training, in either direction

Change = Callable[[random.Random, Sticker], Sticker]


def _styled(sticker: Sticker, **changes: object) -> Sticker:
    return dataclasses.replace(sticker, style=dataclasses.replace(sticker.style, **changes))  # type: ignore[arg-type]


def mirrored(rng: random.Random, sticker: Sticker) -> Sticker:
    return _styled(sticker, mirror=True)


def turned(rng: random.Random, sticker: Sticker) -> Sticker:
    return dataclasses.replace(sticker, turn=rng.uniform(-TURN, TURN))


def paler(rng: random.Random, sticker: Sticker) -> Sticker:
    return _styled(sticker, pale=rng.uniform(0.15, 0.5))


def other_hue(rng: random.Random, sticker: Sticker) -> Sticker:
    """Hues shifted by up to 40 degrees; by a few only where the name says the colour."""
    most = 6 if OBJECTS[sticker.name].colour else 40
    return _styled(sticker, hue=rng.uniform(-most, most))


def greyed(rng: random.Random, sticker: Sticker) -> Sticker:
    return sticker if OBJECTS[sticker.name].colour else _styled(sticker, grey=True)


def outlined(rng: random.Random, sticker: Sticker) -> Sticker:
    colour = rng.choice([(255, 255, 255), (0, 0, 0), any_colour(rng)])
    return _styled(sticker, outline=(colour, rng.uniform(0.03, 0.08)))


def covered(rng: random.Random, sticker: Sticker) -> Sticker:
    """A spot over up to a quarter of it, off its middle."""
    x, y = rng.choice([(rng.choice((0.1, 0.9)), rng.random()), (rng.random(), rng.choice((0.1, 0.9)))])
    return _styled(sticker, cover=(any_colour(rng), x, y, rng.uniform(0.15, 0.3)))


def of_house(rng: random.Random, sticker: Sticker, houses: Sequence[House] = TRAINED) -> Sticker:
    """Drawn by one of the houses that have it; what it wears, too, so they must have both."""
    fit = [house for house in houses if all(has(house, name) for name in (sticker.name, *sticker.wears))]
    return _styled(sticker, house=rng.choice(fit)) if fit else sticker


CHANGES: dict[Change, float] = {  # shares of stickers that get each
    mirrored: 0.3,
    turned: 0.25,
    paler: 0.15,
    other_hue: 0.2,
    greyed: 0.04,
    outlined: 0.15,
    covered: 0.12,
}


def varied(rng: random.Random, scene: Scene, *, art: float = 0.4, named: bool = True) -> Scene:
    """A scene to read in another look: its ground, its stickers, or both.

    Args:
        art: the share of scenes with other houses' stickers, if they have been fetched.
        named: keep the background's name true; False: grounds may be of any colour.
    """
    kind = rng.random()
    if kind < 0.7:
        ground = sample_ground(rng, scene.background) if named else free_ground(rng)
        scene = dataclasses.replace(scene, ground=ground if ground.name or not named else None)
    if kind < 0.25:
        return scene
    houses = rng.choice([TRAINED, TRAINED[:1], TRAINED[1:]]) if rng.random() < art else ()
    changes = [change for change, share in CHANGES.items() if rng.random() < 2 * share]

    def one(sticker: Sticker) -> Sticker:
        if houses and rng.random() < 0.85:
            sticker = of_house(rng, sticker, houses)
        for change in changes:
            if rng.random() < 0.5:
                sticker = change(rng, sticker)
        return sticker

    return scene.with_stickers(*map(one, scene.stickers))


def _each(change: Change) -> Callable[[random.Random, Scene], Scene]:
    return lambda rng, scene: scene.with_stickers(*(change(rng, sticker) for sticker in scene.stickers))


def _on(paint: Paint, rng: random.Random, scene: Scene) -> Scene:
    """Any colours under the stickers: the background's name is no longer true."""
    return dataclasses.replace(scene, ground=free_ground(rng, paint))


def _shade(rng: random.Random, scene: Scene) -> Scene:
    """Another shade of the same name; settings stay as they are."""
    ground = sample_ground(rng, scene.background)
    plain = Ground(ground.name, "plain", ground.colours[:1])
    return dataclasses.replace(scene, ground=plain) if ground.name else scene


def _hue(rng: random.Random, sticker: Sticker) -> Sticker:
    return sticker if OBJECTS[sticker.name].colour else _styled(sticker, hue=rng.choice((-32.0, 32.0)))


LOOKS: dict[str, Callable[[random.Random, Scene], Scene]] = {
    "colour": partial(_on, "plain"),
    "shade": _shade,
    "gradient": partial(_on, "gradient"),
    "soft": partial(_on, "shaded"),
    "paper": partial(_on, "paper"),
    "mirrored": _each(mirrored),
    "turned": _each(turned),
    "paler": _each(lambda rng, sticker: _styled(sticker, pale=0.35)),
    "hue": _each(_hue),
    "grey": _each(greyed),
    "outlined": _each(outlined),
    "covered": _each(covered),
    "trained-art": _each(of_house),
    "art": _each(partial(of_house, houses=("twemoji",))),
}
