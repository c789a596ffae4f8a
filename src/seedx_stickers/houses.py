"""Other houses' drawings of the same objects, for reading: Noto (Google), Fluent (Microsoft), Twemoji.

    python -m seedx_stickers.houses            # `make art`: fetches the packages by npm, renders them into runs/art

The drawings are not part of this repository. Noto and Fluent are training data of the tiny model; Twemoji is never
trained on: it is the test of whether other art is read at all.
"""

from __future__ import annotations

import functools
import io
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Literal, get_args
from xml.etree import ElementTree

from PIL import Image

from seedx.errors import SeedxError
from seedx_stickers.art import ART_SIZE, OBJECTS

House = Literal["noto", "fluent", "twemoji"]
TRAINED: tuple[House, ...] = ("noto", "fluent")
FOLDER = Path("runs/art")  # ignored by git, like all of runs

PACKAGES: dict[House, str] = {
    "noto": "@svgmoji/noto@3.2.0",
    "fluent": "fluentui-emoji@1.3.0",
    "twemoji": "@twemoji/svg@15.0.0",
}
# Drawings whose colour is not the one in the object's name.
OTHER_COLOUR = {("noto", "red car"), ("noto", "red book")}
SVG = "{http://www.w3.org/2000/svg}svg"

# Fluent names its files in words; where these are not the object's own name:
FLUENT = {
    **{name: f"{name}-face" for name in ("dog", "cat", "mouse", "rabbit", "tiger", "cow", "pig", "monkey")},
    "fish": "tropical-fish",
    "bee": "honeybee",
    "whale": "spouting-whale",
    "red car": "automobile",
    "blue car": "sport-utility-vehicle",
    "tree": "deciduous-tree",
    "moon": "crescent-moon",
    "orange": "tangerine",
    "cake": "birthday-cake",
    "ice cream": "soft-ice-cream",
    "snowman": "snowman-without-snow",
    "gift": "wrapped-gift",
    "football": "soccer-ball",
    "clock": "alarm-clock",
    "cup": "hot-beverage",
    "red book": "closed-book",
    "hat": "top-hat",
}


def has(house: House, name: str) -> bool:
    """Whether a house's drawing of an object has been fetched, and shows what the object's name says."""
    return (house, name) not in OTHER_COLOUR and _is_there(house, name)


@functools.cache
def _is_there(house: House, name: str) -> bool:
    return _file(house, name).is_file()


def require(*houses: House) -> None:
    """
    Raises:
        SeedxError: the drawings of one of the houses have not been fetched.
    """
    for house in houses:
        if not any(has(house, name) for name in OBJECTS):
            raise SeedxError(f"there are no drawings of {house} in {FOLDER / house}; fetch them with: make art")


@functools.cache
def house_art(house: House, name: str) -> Image.Image:
    """A house's drawing of an object, RGBA, cropped to what is not transparent.

    Raises:
        SeedxError: it has not been fetched, or the house has none.
    """
    if not has(house, name):
        require(house)
        raise SeedxError(f"{house} has no drawing of {name!r}; ask `houses.has` first")
    return Image.open(_file(house, name)).convert("RGBA")


def _file(house: House, name: str) -> Path:
    return FOLDER / house / f"{name}.png"


def fetch(folder: Path = FOLDER) -> dict[House, int]:
    """Fetch the packages by npm and render every object that a house has. Returns how many each has.

    Raises:
        SeedxError: there is no npm, or it fails.
    """
    if not shutil.which("npm"):
        raise SeedxError("the drawings of other houses come by npm: install Node.js, then run `make art` again")
    found = {}
    for house in get_args(House):
        with tempfile.TemporaryDirectory() as aside:
            texts = _texts(house, _package(house, Path(aside)))
        (folder / house).mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            _rendered(text).save(folder / house / f"{name}.png")
        found[house] = len(texts)
    return found


def _package(house: House, aside: Path) -> Path:
    """Download and unpack a package; returns its folder."""
    made = subprocess.run(
        ["npm", "pack", "--silent", PACKAGES[house]], cwd=aside, capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise SeedxError(f"npm could not fetch {PACKAGES[house]}: {made.stderr.strip()}")
    with tarfile.open(aside / made.stdout.split()[-1]) as archive:
        archive.extractall(aside, filter="data")
    return aside / "package"


def _texts(house: House, package: Path) -> dict[str, str]:
    """The SVGs of a package by the names of our objects."""
    if house == "noto":
        sprites = {each.get("id"): each for each in ElementTree.parse(package / "sprites" / "all.svg").iter(SVG)}
        codes = {name: [thing.code, f"{thing.code}-FE0F"] for name, thing in OBJECTS.items()}
        picked = {name: [sprites[code] for code in each if code in sprites] for name, each in codes.items()}
        return {name: ElementTree.tostring(each[0], "unicode") for name, each in picked.items() if each}
    files = {
        name: package / f"{thing.code.lower()}.svg"
        if house == "twemoji"
        else package / "icons" / "flat" / f"{FLUENT.get(name, name.replace(' ', '-'))}.svg"
        for name, thing in OBJECTS.items()
    }
    return {name: file.read_text(encoding="utf-8") for name, file in files.items() if file.is_file()}


def _rendered(text: str) -> Image.Image:
    import resvg_py

    pixels = io.BytesIO(resvg_py.svg_to_bytes(svg_string=text, width=ART_SIZE, height=ART_SIZE))
    image = Image.open(pixels).convert("RGBA")
    return image.crop(image.getchannel("A").point(lambda a: 255 * (a > 40)).getbbox())


if __name__ == "__main__":
    for house, count in fetch().items():
        print(f"{house}: {count} of {len(OBJECTS)} objects")
