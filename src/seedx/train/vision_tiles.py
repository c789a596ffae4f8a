"""Tiles for the visual tokenizer to learn on, with what is where on them.

Shapes:
    CELLS x CELLS cells a tile, one for each patch and each query; a cell has 2 x 2 parts, each with a name and the
    corners of what is there, and the letter printed there if any
"""

from __future__ import annotations

import random

import numpy as np
from PIL import Image

from seedx.stickers.art import BACKGROUNDS, OBJECTS, aspect, sized
from seedx.stickers.scenes import TILE, Scene, box, render, sample, sample_size, worn_box
from seedx.stickers.signs import LETTERS, letter_boxes
from seedx.stickers.tasks.signs import LONGEST, signed_scene, with_sign
from seedx.train.pixels import dress

CELLS = 8
PARTS = 2 * CELLS  # named parts along a side
NAMES = [*OBJECTS, *BACKGROUNDS]
INDEX = {name: i for i, name in enumerate(NAMES)}

Parts = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # of a tile: pixels, names, corners, letters


def label(scene: Scene) -> tuple[Image.Image, np.ndarray, np.ndarray]:
    """Picture, (H, W) number of the drawing under each pixel (0: none), a row per drawing: name, corners, letter."""
    numbers = Image.new("L", (scene.width, scene.height), 0)
    rows = [(INDEX[scene.background], 0.0, 0.0, 1.0, 1.0, 0)]
    shorter = min(scene.width, scene.height)
    for sticker in scene.stickers:
        drawings = [(sticker.name, box(scene, sticker), sticker.x, sticker.y, sticker.size * shorter)]
        for thing in sticker.wears:
            x0, y0, x1, y1 = worn_box(scene, sticker, thing)
            wide = (x1 - x0) * scene.width
            longer = max(wide, wide / aspect(thing))
            drawings.append((thing, (x0, y0, x1, y1), (x0 + x1) / 2, (y0 + y1) / 2, longer))
        for name, corners, x, y, longer in drawings:
            drawing = sized(name, max(2, round(longer)))
            where = (round(x * scene.width - drawing.width / 2), round(y * scene.height - drawing.height / 2))
            numbers.paste(len(rows), where, drawing.getchannel("A").point(lambda a: 255 * (a > 127)))
            rows.append((INDEX[name], *corners, 0))
    for sign in scene.signs:
        for letter, (left, top, right, bottom) in zip(
            sign.text, letter_boxes(sign, scene.width, scene.height), strict=True
        ):
            numbers.paste(len(rows), (round(left), round(top), round(right), round(bottom)))
            rows.append((INDEX[scene.background], 0.0, 0.0, 1.0, 1.0, 1 + LETTERS.index(letter)))
    return render(scene), np.asarray(numbers), np.array(rows, dtype=np.float32)


def tile_label(scene: Scene, window: tuple[float, float, float, float]) -> Parts:
    """The part of a scene inside `window` (fractions), as a tile: pixels (S, S, 3), and names, corners and letters of
    its parts."""
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
    return np.asarray(image), names, corners.clip(0, 1).astype(np.float32), letters


def sample_tile(rng: random.Random, signs: float) -> Parts:
    """A tile as the model will meet it: a whole scene, a squeezed one, or a part of a larger one.

    Args:
        signs: the share with printed words.
    """
    if rng.random() < signs:
        scene = page(rng) if rng.random() < 0.6 else signed_scene(rng)
    else:
        scene = dress(rng, sample(rng, sample_size(rng) if rng.random() < 0.6 else (TILE, TILE)))
    draw = rng.random()
    if (scene.width, scene.height) == (TILE, TILE) or draw < 0.4:
        return tile_label(scene, (0, 0, 1, 1))
    columns = min(4, -(-scene.width // min(scene.width, scene.height)))
    lines = min(4, -(-scene.height // min(scene.width, scene.height)))
    column, line = rng.randrange(columns), rng.randrange(lines)
    return tile_label(scene, (column / columns, line / lines, (column + 1) / columns, (line + 1) / lines))


def page(rng: random.Random) -> Scene:
    """A tile full of random letters: what teaches them fastest."""
    scene = Scene(TILE, TILE, rng.choice(list(BACKGROUNDS)), ())
    for _ in range(6):
        letters = "".join(rng.choices(LETTERS, k=rng.randint(2, LONGEST)))
        scene = with_sign(rng, scene, letters) or scene
    return scene
