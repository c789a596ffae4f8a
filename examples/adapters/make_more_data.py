"""What the adapters of this folder learn from, as a user would bring it: answers in another tone, and framed pictures.

    python examples/finetune/make_data.py     # the wintry edits
    python examples/adapters/make_more_data.py   # the rest

writes examples/adapters/data: pictures/, pirate.jsonl (questions with a pirate's answers) and pictures in a
wooden frame: with the plain one as the condition in framed.jsonl, alone in framed_alone.jsonl.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from PIL import Image, ImageDraw

from seedx.messages import Text
from seedx_stickers import tasks
from seedx_stickers.scenes import render, sample

FOLDER = Path(__file__).parent / "data"
KINDS = ("question", "caption")
WOOD, GOLD = (92, 58, 30), (214, 170, 84)


def pirate(answer: str) -> str:
    """ "a dog" -> "arr, a dog, matey!"."""
    return f"arr, {answer.rstrip('.')}, matey!"


def framed(picture: Image.Image) -> Image.Image:
    """The picture behind a wooden frame of a tenth of its side, with a golden edge."""
    made = picture.copy()
    width = picture.width // 10
    draw = ImageDraw.Draw(made)
    draw.rectangle((0, 0, made.width - 1, made.height - 1), outline=WOOD, width=width)
    draw.rectangle((width, width, made.width - 1 - width, made.height - 1 - width), outline=GOLD, width=2)
    return made


def write_questions(count: int) -> None:
    rng = random.Random("pirate")
    with (FOLDER / "pirate.jsonl").open("w", encoding="utf-8") as file:
        for i in range(count):
            example = tasks.sample(rng, KINDS[i % len(KINDS)])
            path = f"pictures/question-{i:03d}.png"
            render(example.scenes[0]).save(FOLDER / path)
            said = ["".join(part.text for part in turn.content if isinstance(part, Text)) for turn in example.messages]
            data = [{"from": "human", "value": said[0]}, {"from": "gpt", "value": pirate(said[1])}]
            file.write(json.dumps({"image": path, "conversations": data}) + "\n")


def write_pictures(count: int) -> None:
    rng = random.Random("framed")
    with (
        (FOLDER / "framed.jsonl").open("w", encoding="utf-8") as file,
        (FOLDER / "framed_alone.jsonl").open("w", encoding="utf-8") as alone_file,
    ):
        for i in range(count):
            plain = render(sample(rng))
            paths = [f"pictures/{name}-{i:03d}.png" for name in ("plain", "framed")]
            plain.save(FOLDER / paths[0])
            framed(plain).save(FOLDER / paths[1])
            alone = {"image": paths[1], "caption": "a framed picture"}  # the text is not used
            pair = {"source_image": paths[0], "instruction": "frame it", "target_image": paths[1]}
            (alone_file if i % 2 else file).write(json.dumps(alone if i % 2 else pair) + "\n")


if __name__ == "__main__":
    (FOLDER / "pictures").mkdir(parents=True, exist_ok=True)
    write_questions(600)
    write_pictures(200)
    print(f"wrote {FOLDER}: pirate.jsonl (600 questions), framed.jsonl and framed_alone.jsonl (100 each), pictures/")
