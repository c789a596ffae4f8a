"""Questions about stickers as a data set for lmms-eval: what a benchmark looks like, made in a second.

    python examples/lmms_eval/make_data.py

writes examples/lmms_eval/data: pictures, and metadata.jsonl with a question, its answer and up to four choices for
each, in the form that the library `datasets` calls an image folder.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from seedx.messages import Text
from seedx_stickers import tasks
from seedx_stickers.scenes import render

FOLDER = Path(__file__).parent / "data"
EACH = 3  # questions of each type
CHOICES = 4


def write(folder: Path = FOLDER, seed: str = "lmms-eval") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    with (folder / "metadata.jsonl").open("w", encoding="utf-8") as file:
        for number, type_ in enumerate(sorted(tasks.QUESTIONS) * EACH):
            example = ask(rng, type_)
            render(example.scenes[0]).save(folder / f"{number:02d}.png")
            question = "".join(part.text for part in example.messages[0].content if isinstance(part, Text))
            answer = example.expected[0].text
            record = {"question": question, "answer": answer, "type": type_, "choices": choices(rng, answer, type_)}
            file.write(json.dumps({"file_name": f"{number:02d}.png", **record}) + "\n")


def ask(rng: random.Random, type_: str) -> tasks.Example:
    """A question of one type, about a picture of any size."""
    while True:
        example = tasks.sample(rng, "question")
        if example.expected[0].type == type_:
            return example


def choices(rng: random.Random, right: str, type_: str) -> list[str]:
    """The right answer among others to questions of its type, in any order; beside "yes" there is only "no"."""
    options = {tasks.normalise(right): right}
    for _ in range(30):
        answer = ask(rng, type_).expected[0].text
        options.setdefault(tasks.normalise(answer), answer)
        if len(options) == CHOICES:
            break
    return sorted(options.values())


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:]))
