"""What the adapters of this folder do: one model, and each request of a batch with its own adapter or none.

    python examples/adapters/show.py [--adapters runs/adapters/adapters] [--count 12]

asks for held-out wintry edits without an adapter and with `winter`, for answers without and with `pirate`, and for
drawings without and with `framed`, each pair in one mixed batch. The judge says whether a wintry edit is done; an
answer has a pirate's tone if it begins with "arr,"; a frame is there if the border has its colour. A sheet is written
beside the data: before, edited without and with, drawn without and with.
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
from compare import TOUCHED, sheet
from make_data import WORDS, pairs

THINGS = ("a cat", "two stars", "a red car", "a tree and a house", "a sun", "a panda")
COLOURS = ("blue", "green", "yellow", "white", "pink")


def has_frame(picture: Image.Image) -> bool:
    """Whether the outer pixels have about the frame's colour."""
    pixels = np.asarray(picture, dtype=np.float32)
    rim = np.concatenate([pixels[1:5].reshape(-1, 3), pixels[-5:-1].reshape(-1, 3)])
    return bool(np.abs(np.median(rim, axis=0) - WOOD).max() < 40)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapters", type=Path, default=Path("runs/adapters/adapters"))
    parser.add_argument("--count", type=int, default=12)
    options = parser.parse_args()
    n, judge, rng = options.count, load_judge(), random.Random("held-out")
    model = seedx.load("tiny", adapter=[options.adapters / name for name in ("winter", "pirate", "framed")])

    asked = [tasks.sample(rng, "question") for _ in range(n)]
    questions = [(one.messages[0].content[1].text, render(one.scenes[0])) for one in asked]  # type: ignore[union-attr]
    replies = model.chat_batch(questions * 2, adapters=["base"] * n + ["pirate"] * n)
    for name, said in (("base", replies[:n]), ("pirate", replies[n:])):
        tone = sum(reply.text.startswith("arr,") for reply in said)
        plain = [reply.text.removeprefix("arr,").removesuffix("matey!").strip(" ,") for reply in said]
        right = sum(normalise(text) == normalise(one.expected[0].text) for text, one in zip(plain, asked, strict=True))
        print(f"{name}: {tone} answers in a pirate's tone, {right} right, of {n}", flush=True)

    prompts = [f"draw {THINGS[i % len(THINGS)]} on a {COLOURS[i % len(COLOURS)]} background" for i in range(n)]
    drawn = model.draw_batch(prompts * 2, [*range(n)] * 2, adapters=["base"] * n + ["framed"] * n)
    for name, pictures in (("base", drawn[:n]), ("framed", drawn[n:])):
        print(f"{name}: {sum(map(has_frame, pictures))} of {n} drawings with a frame", flush=True)

    scenes = pairs("held-out", n)
    before, words = [render(scene) for scene, _ in scenes], [WORDS[i % len(WORDS)] for i in range(n)]
    edited = model.edit_batch(before * 2, words * 2, [*range(n)] * 2, adapters=["base"] * n + ["winter"] * n)
    for name, pictures in (("base", edited[:n]), ("winter", edited[n:])):
        values = [
            edit(judge.look(picture), picture, Expected("", "wintry", source=old, target=new, touched=TOUCHED))
            for picture, (old, new) in zip(pictures, scenes, strict=True)
        ]
        print(f"{name}: {sum(value['done'] or 0 for value in values):.0f} of {n} wintry edits done", flush=True)
    sheet([before, edited[:n], edited[n:], drawn[:n], drawn[n:]]).save(FOLDER / "sheet.png")
    print(f"{FOLDER / 'sheet.png'}: before, edited without and with winter, drawn without and with framed")


if __name__ == "__main__":
    main()
