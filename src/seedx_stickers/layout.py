"""From a description to a scene: where the stickers of a drawing stand.

The language model regresses features, so that two targets for the same prompt would teach it their mean. The scene is
therefore a function of the description alone: stickers stand at their named places or, without any, in a fixed
arrangement in the order of mention. A model that writes a plan first knows which target it is, so its stickers may
stand anywhere (`scatter`).
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from seedx.errors import SeedxError
from seedx.messages import Box
from seedx.tokens import boxes_to_text
from seedx_stickers.art import BACKGROUNDS, OBJECTS
from seedx_stickers.scenes import PLACES, TILE, Corners, Scene, Sticker, box, worn_box

# By number of stickers: their size, and the centres in order of mention.
ARRANGEMENTS: dict[int, tuple[float, tuple[tuple[float, float], ...]]] = {
    1: (0.56, ((0.5, 0.5),)),
    2: (0.42, ((0.27, 0.5), (0.73, 0.5))),
    3: (0.3, ((0.18, 0.5), (0.5, 0.5), (0.82, 0.5))),
    4: (0.36, ((0.27, 0.27), (0.73, 0.27), (0.27, 0.73), (0.73, 0.73))),
}
SCATTERED = {1: (0.4, 0.6), 2: (0.32, 0.46), 3: (0.28, 0.38), 4: (0.26, 0.36)}  # the least and the largest size
SPACE = 0.02  # between scattered stickers, at least
PLACED = 0.34  # size of a sticker at a named place
CLOSE = 0.27  # the same, of all stickers, when two of the named places are neighbours


@dataclass(frozen=True)
class Ask:
    """One thing that a drawing should contain: `Ask("star", 2)`, `Ask("dog", place="left", wears=("hat",))`."""

    name: str
    count: int = 1
    place: str | None = None
    wears: tuple[str, ...] = ()


def compose(asks: Iterable[Ask], background: str | None = None) -> Scene:
    """The scene of a description, `TILE` pixels square; the default background is white.

    Raises:
        SeedxError: an unknown name, none or more than four stickers, places for some of them only, or a place twice.
    """
    asks, background = tuple(asks), background or "white"
    _check_names(asks, background)
    total = sum(ask.count for ask in asks)
    if total not in ARRANGEMENTS:
        raise SeedxError(f"a drawing contains 1 to {max(ARRANGEMENTS)} stickers, not {total}")
    places = [ask.place for ask in asks if ask.place]
    if not places:
        size, centres = ARRANGEMENTS[total]
    else:
        if len(places) < total or len(set(places)) < total:
            raise SeedxError(f"give each of the {total} stickers a place of its own, or none of them, not {places}")
        size = CLOSE if any(neighbours(a, b) for a, b in combinations(places, 2)) else PLACED
        centres = tuple(PLACES[place] for place in places)
    each = [ask for ask in asks for _ in range(ask.count)]
    stickers = tuple(Sticker(ask.name, x, y, size, ask.wears) for ask, (x, y) in zip(each, centres, strict=True))
    return Scene(TILE, TILE, background, stickers)


def scatter(rng: random.Random, asks: Sequence[Ask], background: str | None = None) -> Scene:
    """A scene of a description without places, its stickers anywhere; equal ones stand in order from left to right.

    Raises:
        SeedxError: an unknown name, or none or more than four stickers.
    """
    ordered = compose(asks, background).stickers
    least, most = SCATTERED[len(ordered)]
    while True:
        scene = Scene(TILE, TILE, background or "white", ())
        for like in ordered:
            size = rng.uniform(least, most)
            x, y = rng.uniform(size / 2, 1 - size / 2), rng.uniform(size / 2, 1 - size / 2)
            scene = scene.with_stickers(*scene.stickers, dataclasses.replace(like, x=x, y=y, size=size))
            if not apart(scene, SPACE):
                break
        else:
            return in_order(scene)


def in_order(scene: Scene) -> Scene:
    """The scene with its stickers by the first mention of their name, and equal ones from left to right."""
    names = [sticker.name for sticker in scene.stickers]
    return scene.with_stickers(*sorted(scene.stickers, key=lambda sticker: (names.index(sticker.name), sticker.x)))


def plan(scene: Scene) -> str:
    """What the scene shows where, as a model plans it: each sticker's box in order, and those of what it wears."""
    return boxes_to_text(
        Box(corners, name)
        for sticker in scene.stickers
        for name, corners in zip((sticker.name, *sticker.wears), boxes(scene, sticker), strict=True)
    )


def _check_names(asks: tuple[Ask, ...], background: str) -> None:
    names = [name for ask in asks for name in (ask.name, *ask.wears)]
    places = [ask.place for ask in asks if ask.place]
    for known, used in ((OBJECTS, names), (PLACES, places), (BACKGROUNDS, [background])):
        for name in used:
            if name not in known:
                raise SeedxError(f"the stickers world has no {name!r}; choose from {', '.join(known)}")


def neighbours(first: str, second: str) -> bool:
    """Whether two of the nine places touch, at a side or a corner."""
    (x0, y0), (x1, y1) = PLACES[first], PLACES[second]
    return max(abs(x0 - x1), abs(y0 - y1)) < 0.5


def inside(scene: Scene, sticker: Sticker) -> bool:
    """Whether the sticker and what it wears are completely inside the scene."""
    own = box(scene, sticker)
    x, y = (own[0] + own[2]) / 2, (own[1] + own[3]) / 2
    whole = max(abs(x - sticker.x), abs(y - sticker.y)) < 1e-6
    return whole and all(worn_box(scene, sticker, thing)[1] > 0 for thing in sticker.wears)


def boxes(scene: Scene, sticker: Sticker) -> tuple[Corners, ...]:
    """The sticker's own box and the boxes of what it wears."""
    return (box(scene, sticker), *(worn_box(scene, sticker, thing) for thing in sticker.wears))


def apart(scene: Scene, margin: float = 0.0) -> bool:
    """Whether all stickers, with what they wear, are inside the scene and at least `margin` apart."""
    if not all(inside(scene, sticker) for sticker in scene.stickers):
        return False
    every = [boxes(scene, sticker) for sticker in scene.stickers]
    return not any(_touch(a, b, margin) for one, other in combinations(every, 2) for a in one for b in other)


def _touch(a: Corners, b: Corners, margin: float) -> bool:
    return min(a[2], b[2]) - max(a[0], b[0]) > -margin and min(a[3], b[3]) - max(a[1], b[1]) > -margin
