"""Other looks of a scene, for reading: grounds of any colour, gradient or paper; stickers mirrored, paler, of another
house, and so on. What is drawn never has one: the model draws plain stickers on the twelve backgrounds.

A look changes pixels alone. Places, sizes and boxes stay those of the plain sticker: another house's drawing is fitted
into the same box, and a turned one keeps its upright box.
"""

from __future__ import annotations

import colorsys
import random
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageFilter

from seedx_stickers.art import BACKGROUNDS, Background, sized
from seedx_stickers.houses import House, house_art

Colour = tuple[int, int, int]
Paint = Literal["plain", "gradient", "shaded", "paper"]
PAINTS: tuple[Paint, ...] = ("plain", "gradient", "shaded", "paper")
STRETCH = 1.25  # another house's drawing is stretched by this at most, to fill the box


@dataclass(frozen=True)
class Style:
    """How one sticker looks.

    Attributes:
        house: whose drawing; None: OpenMoji's.
        pale: how far its colours are towards white, 0 to 1.
        hue: by how much its hues are shifted, in degrees.
        grey: without colour.
        outline: the colour of a line around it, and its width in fractions of the sticker's longer side.
        cover: a spot that hides a part: its colour, centre and radius in fractions of the sticker.
    """

    house: House | None = None
    mirror: bool = False
    pale: float = 0.0
    hue: float = 0.0
    grey: bool = False
    outline: tuple[Colour, float] | None = None
    cover: tuple[Colour, float, float, float] | None = None


@dataclass(frozen=True)
class Ground:
    """The paint of a background in place of its bands.

    Attributes:
        name: the colour in words, as people call it; may be none of the backgrounds' ("red"); "" for a setting.
        colours: one, or two ends of a gradient.
        seed: of the grain or the shade.
    """

    name: str
    paint: Paint
    colours: tuple[Colour, ...]
    seed: int = 0


PLAIN = Style()

# Colours in words: ranges of hue (degrees), saturation and value, of which `shade` draws. The first eight are those of
# the plain backgrounds; the others are only read.
SHADES: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "white": ((0, 360), (0.0, 0.03), (0.96, 1.0)),
    "yellow": ((47, 60), (0.35, 0.95), (0.88, 1.0)),
    "green": ((90, 150), (0.25, 0.9), (0.4, 0.95)),
    "blue": ((200, 240), (0.3, 0.95), (0.45, 1.0)),
    "pink": ((318, 345), (0.15, 0.6), (0.88, 1.0)),
    "orange": ((20, 36), (0.45, 1.0), (0.88, 1.0)),
    "purple": ((262, 288), (0.2, 0.9), (0.45, 0.95)),
    "grey": ((0, 360), (0.0, 0.04), (0.4, 0.8)),
    "red": ((-8, 8), (0.65, 1.0), (0.55, 0.98)),
    "brown": ((18, 32), (0.45, 0.8), (0.3, 0.55)),
    "black": ((0, 360), (0.0, 0.3), (0.0, 0.14)),
    "turquoise": ((170, 185), (0.35, 0.95), (0.6, 0.95)),
}


def shade(rng: random.Random, name: str) -> Colour:
    """A colour of a name of `SHADES`."""
    hue, saturation, value = (rng.uniform(*ends) for ends in SHADES[name])
    red, green, blue = colorsys.hsv_to_rgb(hue % 360 / 360, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def any_colour(rng: random.Random) -> Colour:
    return rng.randrange(256), rng.randrange(256), rng.randrange(256)


def painted(background: Background, ground: Ground | None, width: int, height: int) -> np.ndarray:
    """(height, width, 3) uint8: the bands of a background, or a ground in their place."""
    if ground is None:
        return banded(background, width, height)
    noise = np.random.default_rng(ground.seed)
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    first = np.array(ground.colours[0], np.float64)
    if ground.paint == "gradient":
        angle = noise.uniform(0, 2 * np.pi)
        along = np.cos(angle) * (across - 0.5) + np.sin(angle) * (down - 0.5) + 0.5
        pixels = first + along.clip(0, 1)[..., None] * (np.array(ground.colours[-1]) - first)
    elif ground.paint == "shaded":
        x, y = noise.uniform(0.2, 0.8, 2)
        away = np.hypot(across - x, down - y)
        pixels = first * (1.06 - 0.4 * noise.uniform(0.4, 1) * away)[..., None]
    else:
        pixels = np.broadcast_to(first, (height, width, 3)).copy()
    if ground.paint == "paper":
        grain = noise.normal(0, 1, (height, width)) + 2 * _smooth(noise, height, width)
        pixels += (noise.uniform(2, 7) * grain)[..., None]
    whole: np.ndarray = pixels.round().clip(0, 255).astype(np.uint8)
    return whole


def _smooth(noise: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(height, width): spots of a few pixels, of about unit deviation."""
    coarse = Image.fromarray(noise.normal(0, 1, (height // 6 + 2, width // 6 + 2)).astype(np.float32))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def banded(background: Background, width: int, height: int) -> np.ndarray:
    ground = np.empty((height, width, 3), dtype=np.uint8)
    top = 0.0
    for share, colour in background.bands:
        ground[round(top * height) :] = colour
        top += share
    return ground


def styled_art(name: str, longer: int, style: Style) -> Image.Image:
    """The drawing of an object in a style, RGBA; at least as large as `art.sized(name, longer)`, around its centre."""
    drawing = _fitted(name, longer, style.house) if style.house else sized(name, longer)
    if style == PLAIN:
        return drawing
    if style.mirror:
        drawing = drawing.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if style.hue or style.pale or style.grey:
        drawing = _recoloured(drawing, style)
    if style.cover:
        drawing = _covered(drawing, *style.cover)
    return _outlined(drawing, longer, *style.outline) if style.outline else drawing


def _fitted(name: str, longer: int, house: House) -> Image.Image:
    """Another house's drawing, inside the box of OpenMoji's."""
    box, drawing = sized(name, longer).size, house_art(house, name)
    scales = [side / own for side, own in zip(box, drawing.size, strict=True)]
    scales = [min(scale, STRETCH * min(scales)) for scale in scales]
    size = [max(1, round(own * scale)) for own, scale in zip(drawing.size, scales, strict=True)]
    return drawing.resize((size[0], size[1]), Image.Resampling.BOX if max(scales) < 1 else Image.Resampling.BICUBIC)


def _recoloured(drawing: Image.Image, style: Style) -> Image.Image:
    alpha = drawing.getchannel("A")
    colours = drawing.convert("RGB")
    if style.hue:
        hue, saturation, value = colours.convert("HSV").split()
        shift = round(style.hue / 360 * 256)
        colours = Image.merge("HSV", (hue.point(lambda h: (h + shift) % 256), saturation, value)).convert("RGB")
    if style.grey:
        colours = colours.convert("L").convert("RGB")
    if style.pale:
        colours = Image.blend(colours, Image.new("RGB", colours.size, (255, 255, 255)), style.pale)
    colours.putalpha(alpha)
    return colours


def _covered(drawing: Image.Image, colour: Colour, x: float, y: float, radius: float) -> Image.Image:
    """With a spot of a colour over a part of it."""
    wide, high = drawing.size
    down, across = np.mgrid[:high, :wide]
    spot = np.hypot(across - x * wide, down - y * high) < radius * max(wide, high)
    pixels = np.asarray(drawing).copy()
    pixels[spot] = (*colour, 255)
    return Image.fromarray(pixels)


def _outlined(drawing: Image.Image, longer: int, colour: Colour, width: float) -> Image.Image:
    """With a line of a colour around it, which makes it larger on all sides."""
    reach = max(1, round(width * longer))
    alpha = Image.new("L", (drawing.width + 2 * reach, drawing.height + 2 * reach))
    alpha.paste(drawing.getchannel("A"), (reach, reach))
    whole = Image.new("RGBA", alpha.size, (*colour, 0))
    whole.putalpha(alpha.filter(ImageFilter.MaxFilter(2 * reach + 1)))
    whole.alpha_composite(drawing, (reach, reach))
    return whole


def sample_ground(rng: random.Random, background: str) -> Ground:
    """Another paint for a background: a shade of the same name, or a free one if it is a setting."""
    plain = BACKGROUNDS[background].colour
    name = background if plain else ""
    first = shade(rng, name) if plain else any_colour(rng)
    paint = rng.choices(PAINTS, (0.45, 0.2, 0.15, 0.2))[0]
    return Ground(name, paint, (first, shade(rng, name) if plain else any_colour(rng)), rng.getrandbits(30))


def free_ground(rng: random.Random, paint: Paint | None = None) -> Ground:
    """Any colour at all, of a name of `SHADES` in half of the cases; otherwise the name is ""."""
    paint = paint or rng.choices(PAINTS, (0.5, 0.2, 0.15, 0.15))[0]
    name = rng.choice(list(SHADES)) if rng.random() < 0.5 else ""
    colours = (shade(rng, name), shade(rng, name)) if name else (any_colour(rng), any_colour(rng))
    return Ground(name, paint, colours, rng.getrandbits(30))
