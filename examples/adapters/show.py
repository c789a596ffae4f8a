"""What the adapters of this folder do: one model, and each request with its own.

    python examples/adapters/show.py [--adapters runs/adapters/adapters] [--count 40]

asks for held-out wintry edits, questions and drawings, each of them without an adapter and with each adapter, all in
mixed batches. The judge says whether a wintry edit is done; a tone is a pirate's if the answer begins with "arr,"; a
frame is there if the border has the frame's colour. A sheet of pictures is written beside the data.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

import numpy as np
from make_more_data import FOLDER, WOOD
from PIL import Image

import seedx
from seedx_stickers import tasks
from seedx_stickers.judge import load_judge
from seedx_stickers.scenes import render
from seedx_stickers.scoring import edit
from seedx_stickers.tasks import Expected, normalise

sys.path.append(str(Path(__file__).parents[1] / "finetune"))
from compare import SHOWN, TOUCHED, sheet
from make_data import WORDS, pairs

NAMES = ("base", "winter", "pirate", "framed")


def has_frame(picture: Image.Image) -> bool:
    """Whether the outer pixels have about the frame's colour."""
    pixels = np.asarray(picture, dtype=np.float32)
    rim = np.concatenate([pixels[1:5].reshape(-1, 3), pixels[-5:-1].reshape(-1, 3)])
    return bool(np.abs(np.median(rim, axis=0) - WOOD).max() < 40)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapters", type=Path, default=Path("runs/adapters/adapters"))
    parser.add_argument("--count", type=int, default=40)
    options = parser.parse_args()
    count, judge = options.count, load_judge()
    model = seedx.load("tiny", adapter=[options.adapters / name for name in NAMES[1:]])
    scenes, rng = pairs("held-out", count), random.Random("held-out")
    before = [render(scene) for scene, _ in scenes]
    asked = [tasks.sample(rng, "question") for _ in range(count)]
    rows: dict[str, list[Image.Image]] = {"": before}
    for name in NAMES:
        words = [WORDS[i % len(WORDS)] for i in range(count)]
        edited = model.edit_batch(before, words, list(range(count)), adapter=name)
        done = sum(
            edit(judge.look(picture), picture, Expected("", "wintry", source=old, target=new, touched=TOUCHED))["done"]
            or 0
            for picture, (old, new) in zip(edited, scenes, strict=True)
        )
        rows[f"{name}, edited"] = edited
        drawn = model.draw_batch(DRAWN[:count], list(range(count)), adapter=name)
        rows[f"{name}, drawn"] = drawn
        frames = sum(has_frame(picture) for picture in drawn)
        answers = model.chat_batch(
            [(example.messages[0].content[1].text, render(example.scenes[0])) for example in asked], adapter=name
        )
        texts = [reply.text for reply in answers]
        tone = sum(text.startswith("arr,") for text in texts)
        plain = [text.removeprefix("arr,").removesuffix("matey!").strip(" ,") for text in texts]
        right = sum(normalise(text) == normalise(one.expected[0].text) for text, one in zip(plain, asked, strict=True))
        print(
            f"{name}: wintry edits done {done:.0f}, frames {frames}, answers in a pirate's tone {tone}, right {right}, "
            f"of {count}"
        )
    sheet(list(rows.values())).save(FOLDER / "sheet.png")
    print(f"{FOLDER / 'sheet.png'}: {SHOWN} pictures before, then by row: {'; '.join(list(rows)[1:])}")


DRAWN = [
    f"draw a {thing} on a {colour} background"
    for thing in ("cat", "star", "car", "tree")
    for colour in ("blue", "green", "yellow", "white", "pink")
] * 2

if __name__ == "__main__":
    main()
