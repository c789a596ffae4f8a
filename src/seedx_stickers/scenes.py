"""Scenes of stickers: sampled from a seed, rendered in milliseconds.

Coordinates: x and y are fractions of the scene's width and height, the origin is top left. A sticker's `size` is its
longer side in fractions of the scene's shorter side, so the shape of a sticker does not depend on the scene's ratio.

Some combinations never occur in training (`held_out`), so that evaluation can measure generalisation.
"""

from __future__ import annotations

import dataclasses
import functools
import random
import zlib
from dataclasses import dataclass
from itertools import combinations

from PIL import Image

from seedx_stickers.art import BACKGROUNDS, OBJECTS, WORN, aspect
from seedx_stickers.looks import PLAIN, Ground, Style, painted, styled_art
from seedx_stickers.signs import Sign, panel, sign_box

Corners = tuple[float, float, float, float]
TILE = 96  # the usual side of a scene, pixels

# The nine named places, as the centres of stickers placed there.
PLACES: dict[str, tuple[float, float]] = {
    "top left": (0.22, 0.22),
    "top": (0.5, 0.22),
    "top right": (0.78, 0.22),
    "left": (0.22, 0.5),
    "middle": (0.5, 0.5),
    "right": (0.78, 0.5),
    "bottom left": (0.22, 0.78),
    "bottom": (0.5, 0.78),
    "bottom right": (0.78, 0.78),
}


@dataclass(frozen=True)
class Sticker:
    name: str
    x: float
    y: float
    size: float
    wears: tuple[str, ...] = ()
    turn: float = 0.0  # degrees, counterclockwise; its box stays that of the upright drawing
    style: Style = PLAIN


@dataclass(frozen=True)
class Scene:
    width: int
    height: int
    background: str
    stickers: tuple[Sticker, ...]
    signs: tuple[Sign, ...] = ()
    ground: Ground | None = None  # paint in place of the background's bands

    def with_stickers(self, *stickers: Sticker) -> Scene:
        return dataclasses.replace(self, stickers=stickers)

    def render(self) -> Image.Image:
        """The scene as an RGB picture: a `seedx.images.Renderable`."""
        return render(self)


def box(scene: Scene, sticker: Sticker) -> Corners:
    """Corners (x0, y0, x1, y1) of a sticker's own drawing (without what it wears), as fractions, cut at the border."""
    shorter = min(scene.width, scene.height)
    ratio = aspect(sticker.name)
    wide = sticker.size * min(1.0, ratio) * shorter / scene.width
    high = sticker.size * min(1.0, 1 / ratio) * shorter / scene.height
    x0, y0 = sticker.x - wide / 2, sticker.y - high / 2
    return max(0.0, x0), max(0.0, y0), min(1.0, x0 + wide), min(1.0, y0 + high)


def worn_box(scene: Scene, sticker: Sticker, thing: str) -> Corners:
    """Corners of `thing` where `sticker` wears it."""
    x0, y0, x1, y1 = box(scene, sticker)
    x, y, width = WORN[thing]
    wide = (x1 - x0) * width
    high = wide * scene.width / aspect(thing) / scene.height
    left, top = x0 + (x1 - x0) * x - wide / 2, y0 + (y1 - y0) * y - high / 2
    return left, max(0.0, top), left + wide, min(1.0, top + high)


def place_of(x: float, y: float) -> str:
    """The name of the third of the picture in which a point lies: `place_of(0.1, 0.5) == "left"`."""
    column = ("left", "", "right")[min(2, int(3 * x))]
    row = ("top", "", "bottom")[min(2, int(3 * y))]
    return f"{row} {column}".strip() or "middle"


def _share(*names: str) -> float:
    """A number in 0..1 that is a hash of the names."""
    return zlib.crc32("|".join(names).encode()) / 2**32


@functools.cache
def held_out(first: str, second: str) -> bool:
    """Whether two objects, or an object and a background, never stand together in training: 6 % of the pairs."""
    return _share(*sorted((first, second))) < 0.06


def is_unseen(scene: Scene) -> bool:
    """Whether a scene contains a combination that never occurs in training; worn things and printed words count as
    objects."""
    names = [name for sticker in scene.stickers for name in (sticker.name, *sticker.wears)]
    names += [sign.text for sign in scene.signs]
    return any(held_out(a, b) for a, b in combinations(names, 2)) or any(held_out(n, scene.background) for n in names)


def _overlap(a: Corners, b: Corners, margin: float) -> bool:
    across = min(a[2], b[2]) - max(a[0], b[0]) > -margin
    return across and min(a[3], b[3]) - max(a[1], b[1]) > -margin


def fits(scene: Scene, sticker: Sticker, margin: float = 0.0) -> bool:
    """Whether `sticker` can stand in the scene without covering another one."""
    return free(scene, box(scene, sticker), margin)


def free(scene: Scene, corners: Corners, margin: float = 0.0) -> bool:
    """Whether nothing in the scene lies within `margin` of a region."""
    there = [box(scene, other) for other in scene.stickers]
    there += [sign_box(sign, scene.width, scene.height) for sign in scene.signs]
    return not any(_overlap(corners, other, margin) for other in there)


def sample_size(rng: random.Random) -> tuple[int, int]:
    """A picture size: half of them one tile, the rest of any ratio from 1:4 to 4:1 and 64 to 1024 pixels a side."""
    if rng.random() < 0.5:
        return TILE, TILE
    ratio = 4 ** rng.uniform(-1, 1)
    longer = int(2 ** rng.uniform(6, 10))
    shorter = max(64, int(longer / max(ratio, 1 / ratio)))
    longer = max(longer, shorter)
    return (longer, shorter) if ratio >= 1 else (shorter, longer)


def sample(
    rng: random.Random,
    size: tuple[int, int] = (TILE, TILE),
    count: int | None = None,
    background: str | None = None,
    names: list[str] | None = None,
    sizes: tuple[float, float] | None = None,
    unseen: bool | None = False,
) -> Scene:
    """Sample a scene.

    Args:
        size: width and height in pixels.
        count: how many stickers; by default one to four, on panoramas up to three times that.
        names: the objects to use, all of them by default; given with as many names as `count`, exactly these.
        sizes: least and largest size of a sticker.
        unseen: False: no held-out combination; True: at least one; None: either.
    """
    while True:
        scene = _sample(rng, size, count, background, names, sizes, unseen is False)
        if unseen is None or is_unseen(scene) == unseen:
            return scene


def _sample(
    rng: random.Random,
    size: tuple[int, int],
    count: int | None,
    background: str | None,
    names: list[str] | None,
    sizes: tuple[float, float] | None,
    avoid: bool,
) -> Scene:
    width, height = size
    length = max(size) / min(size)
    wanted = count or rng.randint(1, 4 if length < 2 else round(3 * length))
    scene = Scene(width, height, background or rng.choice(list(BACKGROUNDS)), ())
    crowd = (0.56, 0.5, 0.42, 0.38)[min(wanted, 4) - 1] if length < 2 else 0.5
    least, most = sizes or (0.22, crowd)
    pool = list(names or OBJECTS)
    for index in range(wanted):
        name = pool[index] if names and len(pool) == wanted else _pick(rng, pool, scene, avoid)
        for _ in range(30):
            side = rng.uniform(least, most)
            sticker = _somewhere(rng, scene, name, side)
            if fits(scene, sticker, margin=0.01):
                scene = scene.with_stickers(*scene.stickers, sticker)
                break
    return scene


def _pick(rng: random.Random, pool: list[str], scene: Scene, avoid: bool) -> str:
    """An object; more often than by chance one that the scene already contains, so that there are things to count."""
    if scene.stickers and rng.random() < 0.2:
        return rng.choice(scene.stickers).name
    for _ in range(50):
        name = rng.choice(pool)
        others = [scene.background, *(sticker.name for sticker in scene.stickers)]
        if not (avoid and any(held_out(name, other) for other in others)):
            break
    return name


def _somewhere(rng: random.Random, scene: Scene, name: str, side: float) -> Sticker:
    shorter = min(scene.width, scene.height)
    ratio = aspect(name)
    half_wide = side * min(1.0, ratio) * shorter / scene.width / 2
    half_high = side * min(1.0, 1 / ratio) * shorter / scene.height / 2
    return Sticker(name, rng.uniform(half_wide, 1 - half_wide), rng.uniform(half_high, 1 - half_high), side)


def render(scene: Scene) -> Image.Image:
    """The scene as an RGB picture."""
    canvas = Image.fromarray(painted(BACKGROUNDS[scene.background], scene.ground, scene.width, scene.height))
    for sticker in scene.stickers:
        if sticker.turn:
            layer = Image.new("RGBA", canvas.size)
            _stick(layer, scene, sticker)
            centre = (sticker.x * scene.width, sticker.y * scene.height)
            layer = layer.rotate(sticker.turn, Image.Resampling.BICUBIC, center=centre)
            canvas.paste(layer, mask=layer)
        else:
            _stick(canvas, scene, sticker)
    for sign in scene.signs:
        high = max(2, round(sign.size * min(scene.width, scene.height)))
        _paste(canvas, panel(sign.text, high, sign.panel), sign.x * scene.width, sign.y * scene.height)
    return canvas


def _stick(canvas: Image.Image, scene: Scene, sticker: Sticker) -> None:
    """Paste a sticker and what it wears, upright."""
    for drawing, x, y in drawings(scene, sticker):
        _paste(canvas, drawing, x, y)


def drawings(scene: Scene, sticker: Sticker) -> list[tuple[Image.Image, float, float]]:
    """The upright drawings (RGBA) of a sticker and of what it wears, each with its centre in pixels."""
    longer = max(2, round(sticker.size * min(scene.width, scene.height)))
    pasted = [(styled_art(sticker.name, longer, sticker.style), sticker.x * scene.width, sticker.y * scene.height)]
    for thing in sticker.wears:
        x0, y0, x1, y1 = worn_box(scene, sticker, thing)
        longer = max(2, round(max((x1 - x0) * scene.width, (x1 - x0) * scene.width / aspect(thing))))
        drawing = styled_art(thing, longer, dataclasses.replace(sticker.style, cover=None))
        pasted.append((drawing, (x0 + x1) / 2 * scene.width, (y0 + y1) / 2 * scene.height))
    return pasted


def _paste(canvas: Image.Image, drawing: Image.Image, x: float, y: float) -> None:
    canvas.paste(drawing, (round(x - drawing.width / 2), round(y - drawing.height / 2)), drawing)
