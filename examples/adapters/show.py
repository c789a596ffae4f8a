"""What the adapters of this folder do: one model, and each request of a batch with its own adapter or none.

    python examples/adapters/show.py [--adapters runs/adapters/adapters] [--count 12]

asks for answers without an adapter and with `snail`, and for held-out wintry edits without and with `winter`, each
pair in one mixed batch. An answer has its tone if it begins with "The snail sees"; if it is right is judged without
that. The judge says whether a wintry edit is done. A sheet is written beside the data: before, edited without and with.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

from make_more_data import FOLDER

import seedx
from seedx.messages import Text
from seedx_stickers import tasks
from seedx_stickers.judge import load_judge
from seedx_stickers.scenes import render
from seedx_stickers.scoring import edit
from seedx_stickers.tasks import Expected, normalise

sys.path.append(str(Path(__file__).parents[1] / "finetune"))
from compare import TOUCHED, sheet
from make_data import WORDS, pairs

TONE = "The snail sees"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapters", type=Path, default=Path("runs/adapters/adapters"))
    parser.add_argument("--count", type=int, default=12)
    options = parser.parse_args()
    n, judge, rng = options.count, load_judge(), random.Random("held-out")
    model = seedx.load("tiny", adapter=[options.adapters / name for name in ("winter", "snail")])

    asked = [tasks.sample(rng, "question") for _ in range(n)]
    words = ["".join(part.text for part in one.messages[0].content if isinstance(part, Text)) for one in asked]
    questions = [(text, render(one.scenes[0])) for text, one in zip(words, asked, strict=True)]
    replies = model.chat_batch(questions * 2, adapters=["base"] * n + ["snail"] * n)
    for name, said in (("base", replies[:n]), ("snail", replies[n:])):
        tone = sum(reply.text.startswith(TONE) for reply in said)
        plain = [reply.text.removeprefix(TONE).strip(" .") for reply in said]
        right = sum(normalise(text) == normalise(one.expected[0].text) for text, one in zip(plain, asked, strict=True))
        print(f"{name}: {tone} answers in the snail's tone, {right} right, of {n}", flush=True)

    scenes = pairs("held-out", n)
    before, wishes = [render(scene) for scene, _ in scenes], [WORDS[i % len(WORDS)] for i in range(n)]
    edited = model.edit_batch(before * 2, wishes * 2, [*range(n)] * 2, adapters=["base"] * n + ["winter"] * n)
    for name, pictures in (("base", edited[:n]), ("winter", edited[n:])):
        values = [
            edit(judge.look(picture), picture, Expected("", "wintry", source=old, target=new, touched=TOUCHED))
            for picture, (old, new) in zip(pictures, scenes, strict=True)
        ]
        print(f"{name}: {sum(value['done'] or 0 for value in values):.0f} of {n} wintry edits done", flush=True)
    sheet([before, edited[:n], edited[n:]]).save(FOLDER / "sheet.png")
    print(f"{FOLDER / 'sheet.png'}: before, edited without and with winter")


if __name__ == "__main__":
    main()
