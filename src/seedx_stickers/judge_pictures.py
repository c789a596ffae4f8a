"""What the judge learns from: renders to accept, spoiled drawings to reject, and decodings of a model, some of each.

    python -m seedx_stickers.judge_pictures        # lets the tiny model decode scenes at noisy settings, for training

A judge that has seen renders alone takes a blob of the right colours for an owl. So it also meets drawings that are
blurred, half erased, merged with another, without their eyes or reduced to blobs, and what a de-tokenizer makes of
noisy features. How much of a true drawing is left in a decoding is measured (`fidelity.py`, and `eyes.py` for faces):
clear ones are accepted, blobs rejected, and what lies between is left out.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from seedx_stickers import scenes
from seedx_stickers.art import OBJECTS, sized
from seedx_stickers.corruptions import corrupt, destroy, distractor, shuffled
from seedx_stickers.eyes import EYES, HALF, LIKE, likeness
from seedx_stickers.fidelity import fidelity
from seedx_stickers.scenes import TILE, Scene, Sticker
from seedx_stickers.training.scene_samples import plain

DECODINGS = Path("runs/judge-decodings")
# Of the fidelity of a sticker in a decoding, looked at by eye: below the first it is a blob, from the second on it is
# what it should be. Plain shapes are told from less.
DETAILED, SIMPLE = (0.55, 0.66), (0.3, 0.5)
SIMPLE_GROUPS = ("plant", "sky", "food")
FACE = 0.3  # the least size of a face whose eyes can be told
UNLIKE = 0.6  # of the worse eye: it is none
NOISE = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2)  # on the features, in fractions of their deviation


@dataclass(frozen=True)
class Lesson:
    """A picture with the stickers to find in it.

    Attributes:
        unclear: neither to be found nor to be missed: they are left out of the loss.
        rejected: too little is left of them, and not to find them counts more than elsewhere.
    """

    picture: Image.Image
    scene: Scene
    unclear: tuple[Sticker, ...] = ()
    rejected: tuple[Sticker, ...] = ()


def lesson(rng: random.Random, scene: Scene) -> Lesson:
    """A lesson made of a scene, or a decoding in its place."""
    roll = rng.random()
    if roll < 0.25 and (made := decodings()):
        return decoded_lesson(rng.choice(made))
    if roll < 0.5:
        return spoiled(rng, scene)
    picture = scenes.render(scene)
    if roll < 0.55:
        return Lesson(destroy(rng, picture), scene.with_stickers())
    if rng.random() < 0.25:
        paste_distractor(rng, scene, picture)
    return Lesson(corrupt(rng, picture, mild=True) if rng.random() < 0.5 else picture, scene)


def paste_distractor(rng: random.Random, scene: Scene, picture: Image.Image) -> None:
    """Paste a distractor at a free place, if there is one."""
    drawing = distractor(rng)
    for _ in range(4):
        room = Sticker("rocket", rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.9), drawing.width / TILE)  # a square
        if scenes.fits(scene, room, margin=0.03):
            corner = round(room.x * TILE - drawing.width / 2), round(room.y * TILE - drawing.height / 2)
            picture.paste(drawing, corner, drawing)
            break


def spoiled(rng: random.Random, scene: Scene) -> Lesson:
    """About half of the stickers are spoiled, and must not be found."""
    bad = [sticker for sticker in scene.stickers if rng.random() < 0.55]
    good = scene.with_stickers(*(sticker for sticker in scene.stickers if sticker not in bad))
    picture = scenes.render(good)
    for sticker in bad:
        longer = max(4, round(sticker.size * min(scene.width, scene.height)))
        drawing = sized(sticker.name, longer)
        if sticker.name in EYES and sticker.size > FACE and rng.random() < 0.4:
            drawing = eyeless(drawing, sticker.name)
        else:
            drawing = spoil(rng, drawing, sticker.name)
        corner = (
            round(sticker.x * scene.width - drawing.width / 2),
            round(sticker.y * scene.height - drawing.height / 2),
        )
        picture.paste(drawing, corner, drawing)
    picture = corrupt(rng, picture, mild=True) if rng.random() < 0.4 else picture
    return Lesson(picture, good, rejected=tuple(dataclasses.replace(sticker, wears=()) for sticker in bad))


def spoil(rng: random.Random, drawing: Image.Image, name: str) -> Image.Image:
    """A drawing (RGBA) of which too little is left: blurred, half erased, merged, a blob, or in disorder."""
    simple = is_simple(name)  # its outline alone would tell it
    kind = rng.choice(("blurred", "erased", "merged", "blob", "blob", "disorder"))
    wide, high = drawing.size
    if kind == "blurred":
        reach = 3 * (radius := max(2.0, rng.uniform(0.09, 0.2) * max(wide, high)))
        larger = Image.new("RGBA", (wide + round(2 * reach), high + round(2 * reach)), _mean(drawing))
        larger.paste(drawing, (round(reach), round(reach)), drawing)
        return larger.filter(ImageFilter.GaussianBlur(radius))
    if kind == "erased":
        return _erased(rng, drawing)
    if kind == "merged":
        other = sized(rng.choice([each for each in OBJECTS if each != name]), max(wide, high)).resize((wide, high))
        if rng.random() < 0.4:
            return Image.blend(drawing, other, rng.uniform(0.4, 0.6))
        half = drawing.copy()
        half.paste(other.crop((wide // 2, 0, wide, high)), (wide // 2, 0))
        return half
    if kind == "blob":
        cells = rng.randint(2, 3) if simple else rng.randint(3, 5)
        small = drawing.resize((cells, max(2, round(cells * high / wide))), Image.Resampling.BOX)
        blob = small.resize((wide, high), Image.Resampling.BICUBIC)
        if not simple and rng.random() < 0.6:  # with its outline, but nothing inside
            blob.putalpha(drawing.getchannel("A").filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2))))
        return blob
    return shuffled(rng, drawing, max(3, max(wide, high) // rng.choice((3, 4))))


def eyeless(drawing: Image.Image, name: str) -> Image.Image:
    """A face (RGBA) with what is around its eyes in the place of its eyes."""
    left, top, right, bottom = drawing.getbbox() or (0, 0, *drawing.size)
    wide, high = right - left, bottom - top
    half = round(1.4 * HALF * wide)
    blind = drawing.copy()
    for across, down in EYES[name]:
        x, y = round(left + across * wide), round(top + down * high)
        patch = drawing.crop((x - half, y - half, x + half + 1, y + half + 1))
        edge = np.concatenate([np.asarray(patch)[[0, -1]].reshape(-1, 4), np.asarray(patch)[:, [0, -1]].reshape(-1, 4)])
        colour = tuple(int(each) for each in np.median(edge, axis=0))
        ImageDraw.Draw(blind).ellipse((x - half, y - half, x + half, y + half), fill=colour)
    return blind


def _mean(drawing: Image.Image) -> tuple[int, int, int, int]:
    """The mean colour of what is not transparent, transparent."""
    small = drawing.convert("RGBa").resize((1, 1), Image.Resampling.BOX).convert("RGBA")
    red, green, blue, _ = small.getpixel((0, 0))  # type: ignore[misc]
    return red, green, blue, 0


def _erased(rng: random.Random, drawing: Image.Image) -> Image.Image:
    """At most two fifths of it, cut off along a side."""
    wide, high = drawing.size
    left = rng.uniform(0.2, 0.4)
    kept = {
        "left": (0, 0, round(left * wide), high),
        "right": (wide - round(left * wide), 0, wide, high),
        "top": (0, 0, wide, round(left * high)),
        "bottom": (0, high - round(left * high), wide, high),
    }[rng.choice(("left", "right", "top", "bottom"))]
    rest = Image.new("RGBA", drawing.size)
    rest.paste(drawing.crop(kept), kept[:2])
    return rest


@functools.cache
def decodings(folder: Path = DECODINGS) -> list[tuple[Path, int, tuple[float, ...]]]:
    """The decodings that `main` made: file, index of the scene, fidelity of each sticker; none if it was not run."""
    file = folder / "fidelity.jsonl"
    if not file.is_file():
        return []
    records = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return [(folder / f"{each['index']:05d}.png", each["index"], tuple(each["fidelity"])) for each in records]


def decoded_scene(index: int) -> Scene:
    return plain(random.Random(f"decodings/{index}"))


def decoded_lesson(made: tuple[Path, int, tuple[float, ...]]) -> Lesson:
    file, index, values = made
    scene, picture = decoded_scene(index), Image.open(file).convert("RGB")
    verdicts = [verdict(sticker.name, value) for sticker, value in zip(scene.stickers, values, strict=True)]
    pairs = [
        (sticker, right and _seen_by(picture, scene, sticker))
        for sticker, right in zip(scene.stickers, verdicts, strict=True)
    ]
    # Worn things are small: whether they are there is left out wherever they are worn.
    good = [sticker for sticker, right in pairs if right and not sticker.wears]
    unclear = [sticker for sticker, right in pairs if right is None or sticker.wears]
    bad = [sticker for sticker, right in pairs if right is False and not sticker.wears]
    return Lesson(picture, scene.with_stickers(*good), tuple(unclear), tuple(bad))


def _seen_by(picture: Image.Image, scene: Scene, sticker: Sticker) -> bool | None:
    """Whether a face has both its eyes; None: unclear. True of everything else."""
    if sticker.name not in EYES or sticker.size <= FACE:
        return True
    eyes = min(likeness(picture, scene, sticker))
    return True if eyes >= LIKE else False if eyes < UNLIKE else None


def verdict(name: str, value: float) -> bool | None:
    """Whether a sticker of that fidelity is there; None: unclear."""
    least, enough = SIMPLE if is_simple(name) else DETAILED
    return True if value >= enough else False if value < least else None


def is_simple(name: str) -> bool:
    """Whether an object is a plain shape, told by its outline and colour."""
    return OBJECTS[name].group in SIMPLE_GROUPS or OBJECTS[name].kind == "heart"


def main(*, out: Path = DECODINGS, n: int = 4000, batch: int = 16) -> None:
    """Decode scenes from noisy features and measure them. Resumes an interrupted run.

    Args:
        out: the folder to write.
    """
    import torch

    import seedx
    from seedx.inference.image_decoder import ImageRequest
    from seedx.inference.settings import DrawSettings

    out.mkdir(parents=True, exist_ok=True)
    decoder = seedx.load("tiny").engine.image_decoder
    for first in range(0, n, batch):
        rng, indices = random.Random(f"decodings/{first}"), range(first, first + batch)
        if all((out / f"{index:05d}.png").exists() for index in indices):
            continue
        guidance, steps = rng.choice((1.0, 1.5, 2.5, 2.5)), rng.choice((3, 6, 12, 12))
        features = decoder.encode([scenes.render(decoded_scene(index)) for index in indices])
        requests = []
        for index, own in zip(indices, features, strict=True):
            torch.manual_seed(index)
            noise = random.Random(f"noise/{index}").choice(NOISE) * own.std() * torch.randn_like(own)
            requests.append(ImageRequest(own + noise, DrawSettings(steps=steps, guidance=guidance, seed=index)))
        for index, picture in zip(indices, decoder.decode(requests), strict=True):
            picture.save(out / f"{index:05d}.png")
    with (out / "fidelity.jsonl").open("w", encoding="utf-8") as file:
        for index in range(n):
            scene, picture = decoded_scene(index), Image.open(out / f"{index:05d}.png").convert("RGB")
            truth = scenes.render(scene)
            values = [round(fidelity(picture, scene, sticker, truth), 3) for sticker in scene.stickers]
            file.write(json.dumps({"index": index, "fidelity": values}) + "\n")


if __name__ == "__main__":
    import tyro

    tyro.cli(main)
