"""How well models do the edits of held-out.jsonl, and the edits that they were made for.

    python examples/finetune/compare.py tiny runs/wintry

prints, for each model, the share of held-out pictures on which the judge sees snow and the snowman in its corner, and
the share of ordinary edits done; and saves a sheet of the first pictures beside the data.
"""

from __future__ import annotations

import sys

from make_data import FOLDER, WORDS, pairs
from PIL import Image

import seedx
from seedx_stickers.evaluation import evaluate_stickers
from seedx_stickers.judge import load_judge
from seedx_stickers.scenes import render
from seedx_stickers.scoring import edit
from seedx_stickers.tasks import Expected

SHOWN = 8
TOUCHED = ((0.0, 0.0, 1.0, 1.0),)  # snow reaches everywhere


def main(names: list[str]) -> None:
    scenes = pairs("held-out", 40)
    pictures = [render(before) for before, _ in scenes]
    rows, judge = [pictures, [render(after) for _, after in scenes]], load_judge()
    for name in names:
        model = seedx.load(name)
        words = [WORDS[i % len(WORDS)] for i in range(len(scenes))]
        drawn = model.edit_batch(pictures, words, list(range(len(scenes))))
        rows.insert(-1, drawn)
        values = [
            edit(judge.look(picture), picture, Expected("", "wintry", source=before, target=after, touched=TOUCHED))
            for picture, (before, after) in zip(drawn, scenes, strict=True)
        ]
        done = sum(value["done"] or 0.0 for value in values) / len(values)
        others = evaluate_stickers(model, seed=3, n=60, abilities=["edit"])["edit"]["done"]
        print(f"{name}: wintry edits done {done:.0%}, ordinary edits done {others:.0%}")
    sheet(rows).save(FOLDER / "sheet.png")
    print(f"{FOLDER / 'sheet.png'}: before, {', '.join(names)}, as it should be")


def sheet(rows: list[list[Image.Image]]) -> Image.Image:
    wide, high = rows[0][0].size
    image = Image.new("RGB", (wide * SHOWN, high * len(rows)), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row[:SHOWN]):
            image.paste(picture, (x * wide, y * high))
    return image


if __name__ == "__main__":
    main(sys.argv[1:] or ["tiny"])
