"""Tiles for the visual tokenizer to learn on, with what is where on them.

Shapes:
    CELLS x CELLS cells a tile, one for each patch and each query; a cell has 2 x 2 parts, each with a name and the
    corners of what is there, and the letter printed there if any
"""

from __future__ import annotations

import dataclasses
import random
from typing import NamedTuple

import numpy as np
from PIL import Image

from seedx.config import TINY
from seedx.tiling import choose_grid
from seedx_stickers.art import BACKGROUNDS, OBJECTS
from seedx_stickers.looks import PLAIN
from seedx_stickers.odd_pictures import OddPicture
from seedx_stickers.scenes import TILE, Scene, box, drawings, sample, worn_box
from seedx_stickers.signs import LETTERS, letter_boxes
from seedx_stickers.tasks.panorama import panorama_scene
from seedx_stickers.tasks.reading import FACES, other_size
from seedx_stickers.tasks.signs import LONGEST, signed_scene, with_sign
from seedx_stickers.training.pixels import dress
from seedx_stickers.training.scene_samples import plain
from seedx_stickers.varied import varied

CELLS = 8
ODD = 0.04  # the share of pictures that are no drawings, of those in any look
PARTS = 2 * CELLS  # named parts along a side
NAMES = [*OBJECTS, *BACKGROUNDS, "other ground", "odd"]  # odd: what is no drawing of stickers
INDEX = {name: i for i, name in enumerate(NAMES)}


class Tile(NamedTuple):
    """
    Attributes:
        pixels: (S, S, 3) uint8.
        names, corners, letters: of its parts.
        drawn: whether it is a whole picture such as the model draws.
    """

    pixels: np.ndarray
    names: np.ndarray
    corners: np.ndarray
    letters: np.ndarray
    drawn: bool


def label(scene: Scene) -> tuple[Image.Image, np.ndarray, np.ndarray]:
    """Picture, (H, W) number of the drawing under each pixel (0: none), a row per drawing: name, corners, letter."""
    numbers = Image.new("L", (scene.width, scene.height), 0)
    rows = [(INDEX[_ground_name(scene)], 0.0, 0.0, 1.0, 1.0, 0)]
    for sticker in scene.stickers:
        own = [box(scene, sticker), *(worn_box(scene, sticker, thing) for thing in sticker.wears)]
        for name, corners, (drawing, x, y) in zip(
            (sticker.name, *sticker.wears), own, drawings(scene, sticker), strict=True
        ):
            mask, where = drawing.getchannel("A").point(lambda a: 255 * (a > 127)), (0, 0)
            corner = (round(x - drawing.width / 2), round(y - drawing.height / 2))
            if sticker.turn:  # around the sticker's own centre, whichever drawing it is
                whole = Image.new("L", numbers.size)
                whole.paste(mask, corner)
                mask = whole.rotate(sticker.turn, center=(sticker.x * scene.width, sticker.y * scene.height))
            else:
                where = corner
            numbers.paste(len(rows), where, mask)
            rows.append((INDEX[name], *corners, 0))
    for sign in scene.signs:
        for letter, (left, top, right, bottom) in zip(
            sign.text, letter_boxes(sign, scene.width, scene.height), strict=True
        ):
            numbers.paste(len(rows), (round(left), round(top), round(right), round(bottom)))
            rows.append((INDEX[_ground_name(scene)], 0.0, 0.0, 1.0, 1.0, 1 + LETTERS.index(letter)))
    return scene.render(), np.asarray(numbers), np.array(rows, dtype=np.float32)


def _ground_name(scene: Scene) -> str:
    if isinstance(scene, OddPicture) and scene.kind != "empty":
        return "odd"
    return scene.background if scene.ground is None or scene.ground.name == scene.background else "other ground"


def tile_label(scene: Scene, window: tuple[float, float, float, float]) -> Tile:
    """The part of a scene inside `window` (fractions), as a tile."""
    image, numbers, rows = label(scene)
    x0, y0, x1, y1 = window
    pixel_box = (x0 * scene.width, y0 * scene.height, x1 * scene.width, y1 * scene.height)
    if image.size != (TILE, TILE) or window != (0, 0, 1, 1):
        image = image.resize((TILE, TILE), Image.Resampling.BICUBIC, box=pixel_box)
    centres = (np.arange(PARTS) + 0.5) / PARTS
    columns = np.minimum(((x0 + centres * (x1 - x0)) * scene.width).astype(int), scene.width - 1)
    lines = np.minimum(((y0 + centres * (y1 - y0)) * scene.height).astype(int), scene.height - 1)
    found = rows[numbers[lines[:, None], columns[None, :]]]
    corners = (found[..., 1:5] - np.array([x0, y0, x0, y0])) / np.array([x1 - x0, y1 - y0] * 2)
    names, letters = found[..., 0].astype(np.int64), found[..., 5].astype(np.int64)
    drawn = window == (0, 0, 1, 1) and not scene.signs and _is_plain(scene)
    return Tile(np.asarray(image), names, corners.clip(0, 1).astype(np.float32), letters, drawn)


def sample_tile(rng: random.Random, signs: float, looks: float = 0.0, drawings: float = 0.0) -> Tile:
    """A tile as the model meets it: a whole picture of any size, squeezed, or one of the tiles that it is cut into.

    Args:
        signs: the share with printed words.
        looks: of all but the drawings, the share in other looks.
        drawings: the share that is a drawing as the model makes them.
    """
    if drawings and rng.random() < drawings:
        return tile_label(drawn_scene(rng), (0, 0, 1, 1))
    if looks and rng.random() < ODD:
        scene: Scene = OddPicture.sample(rng)
    elif rng.random() < signs:
        scene = page(rng) if rng.random() < 0.6 else signed_scene(rng, any_size=0.5)
    elif rng.random() < 0.1:
        scene = panorama_scene(rng)
    else:
        scene = dress(rng, sample(rng, other_size(rng) if rng.random() < 0.55 else (TILE, TILE)))
    varies = looks > 0 and not isinstance(scene, OddPicture) and rng.random() < looks
    columns, lines = choose_grid((scene.width, scene.height), TINY.tiling)
    if columns * lines == 1 or rng.random() < 0.3:
        return tile_label(varied(rng, scene, named=rng.random() < 0.6) if varies else scene, (0, 0, 1, 1))
    column, line = rng.randrange(columns), rng.randrange(lines)
    window = (column / columns, line / lines, (column + 1) / columns, (line + 1) / lines)
    scene = _no_larger(scene, columns * TILE, lines * TILE)
    return tile_label(varied(rng, scene, named=rng.random() < 0.6) if varies else scene, window)


def drawn_scene(rng: random.Random) -> Scene:
    """A picture such as the model draws: two in five as text asks for, a quarter one thing alone, else sampled."""
    kind = rng.random()
    if kind < 0.4:
        return plain(rng)
    if kind < 0.65:
        name = rng.choice(FACES if rng.random() < 0.6 else list(OBJECTS))
        return dress(rng, sample(rng, count=1, names=[name], sizes=(0.3, 0.7)), 0.15)
    return dress(rng, sample(rng))


def _is_plain(scene: Scene) -> bool:
    return (
        type(scene) is Scene
        and scene.ground is None
        and all(sticker.style == PLAIN and not sticker.turn for sticker in scene.stickers)
    )


def page(rng: random.Random) -> Scene:
    """A picture full of random letters: what teaches them fastest."""
    width, height = other_size(rng) if rng.random() < 0.6 else (TILE, TILE)
    scene = Scene(width, height, rng.choice(list(BACKGROUNDS)), ())
    for _ in range(6 * max(width, height) // min(width, height)):
        letters = "".join(rng.choices(LETTERS, k=rng.randint(2, LONGEST)))
        scene = with_sign(rng, scene, letters) or scene
    return scene


def _no_larger(scene: Scene, width: int, height: int) -> Scene:
    """The scene with no more pixels than its tiles need: it is drawn only to be cut and shrunk."""
    scale = max(width / scene.width, height / scene.height)
    if scale >= 1:
        return scene
    return dataclasses.replace(scene, width=round(scale * scene.width), height=round(scale * scene.height))
