"""From words to a scene: where the stickers of a drawing stand.

The language model regresses the features of the picture it draws, so that two good pictures for the same words would
teach it their mean. The picture is therefore a function of the words alone: named places are kept, and without any the
stickers stand in a fixed order that follows the order of mention.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from seedx.errors import SeedxError
from seedx_stickers.art import BACKGROUNDS, OBJECTS
from seedx_stickers.scenes import PLACES, TILE, Corners, Scene, Sticker, box, worn_box

# By number of stickers: their size, and the centres in order of mention.
ARRANGEMENTS: dict[int, tuple[float, tuple[tuple[float, float], ...]]] = {
    1: (0.56, ((0.5, 0.5),)),
    2: (0.42, ((0.27, 0.5), (0.73, 0.5))),
    3: (0.3, ((0.18, 0.5), (0.5, 0.5), (0.82, 0.5))),
    4: (0.36, ((0.27, 0.27), (0.73, 0.27), (0.27, 0.73), (0.73, 0.73))),
}
PLACED = 0.34  # size of a sticker at a named place
CLOSE = 0.27  # the same, of all stickers, when two of the named places are neighbours


@dataclass(frozen=True)
class Ask:
    """One thing that a drawing should hold: `Ask("star", 2)`, `Ask("dog", place="left", wears=("hat",))`."""

    name: str
    count: int = 1
    place: str | None = None
    wears: tuple[str, ...] = ()


def compose(asks: Iterable[Ask], background: str | None = None) -> Scene:
    """The one scene, `TILE` pixels square, that these words stand for; without a background it is white.

    Raises:
        SeedxError: an unknown name, none or more than four stickers, a place for some only, or a place for two.
    """
    asks, background = tuple(asks), background or "white"
    _check_names(asks, background)
    total = sum(ask.count for ask in asks)
    if total not in ARRANGEMENTS:
        raise SeedxError(f"a drawing holds 1 to {max(ARRANGEMENTS)} stickers, {total} were asked for")
    places = [ask.place for ask in asks if ask.place]
    if not places:
        size, centres = ARRANGEMENTS[total]
    else:
        if len(places) < total or len(set(places)) < total:
            raise SeedxError(f"name a place of its own for each of {total} stickers, or for none, not {places}")
        size = CLOSE if any(neighbours(a, b) for a, b in combinations(places, 2)) else PLACED
        centres = tuple(PLACES[place] for place in places)
    each = [ask for ask in asks for _ in range(ask.count)]
    stickers = tuple(Sticker(ask.name, x, y, size, ask.wears) for ask, (x, y) in zip(each, centres, strict=True))
    return Scene(TILE, TILE, background, stickers)


def _check_names(asks: tuple[Ask, ...], background: str) -> None:
    names = [name for ask in asks for name in (ask.name, *ask.wears)]
    places = [ask.place for ask in asks if ask.place]
    for known, used in ((OBJECTS, names), (PLACES, places), (BACKGROUNDS, [background])):
        for name in used:
            if name not in known:
                raise SeedxError(f"the stickers world has no {name!r} here: choose from {', '.join(known)}")


def neighbours(first: str, second: str) -> bool:
    """Whether two of the nine places touch, at a side or a corner."""
    (x0, y0), (x1, y1) = PLACES[first], PLACES[second]
    return max(abs(x0 - x1), abs(y0 - y1)) < 0.5


def inside(scene: Scene, sticker: Sticker) -> bool:
    """Whether no part of the sticker, nor of what it wears, is cut off at the border."""
    own = box(scene, sticker)
    x, y = (own[0] + own[2]) / 2, (own[1] + own[3]) / 2
    whole = max(abs(x - sticker.x), abs(y - sticker.y)) < 1e-6
    return whole and all(worn_box(scene, sticker, thing)[1] > 0 for thing in sticker.wears)


def boxes(scene: Scene, sticker: Sticker) -> tuple[Corners, ...]:
    """The sticker's own box and the boxes of what it wears."""
    return (box(scene, sticker), *(worn_box(scene, sticker, thing) for thing in sticker.wears))


def apart(scene: Scene, margin: float = 0.0) -> bool:
    """Whether every sticker, with what it wears, is whole and stands clear of all others by `margin`."""
    if not all(inside(scene, sticker) for sticker in scene.stickers):
        return False
    every = [boxes(scene, sticker) for sticker in scene.stickers]
    return not any(_touch(a, b, margin) for one, other in combinations(every, 2) for a in one for b in other)


def _touch(a: Corners, b: Corners, margin: float) -> bool:
    return min(a[2], b[2]) - max(a[0], b[0]) > -margin and min(a[3], b[3]) - max(a[1], b[1]) > -margin
