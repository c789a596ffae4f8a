"""What the adapter `snail` learns from, as a user would bring it: questions with answers in another tone.

    python examples/adapters/make_more_data.py

writes examples/adapters/data: pictures/ and snail.jsonl.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from seedx.messages import Text
from seedx_stickers import tasks
from seedx_stickers.scenes import render

FOLDER = Path(__file__).parent / "data"
KINDS = ("question", "caption")


def snail(answer: str) -> str:
    """ "a dog" -> "The snail sees a dog."."""
    return f"The snail sees {answer.rstrip('.')}."


def write(count: int) -> None:
    rng = random.Random("snail")
    (FOLDER / "pictures").mkdir(parents=True, exist_ok=True)
    with (FOLDER / "snail.jsonl").open("w", encoding="utf-8") as file:
        for i in range(count):
            example = tasks.sample(rng, KINDS[i % len(KINDS)])
            path = f"pictures/question-{i:03d}.png"
            render(example.scenes[0]).save(FOLDER / path)
            said = ["".join(part.text for part in turn.content if isinstance(part, Text)) for turn in example.messages]
            data = [{"from": "human", "value": said[0]}, {"from": "gpt", "value": snail(said[1])}]
            file.write(json.dumps({"image": path, "conversations": data}) + "\n")


if __name__ == "__main__":
    write(600)
    print(f"wrote {FOLDER}: snail.jsonl (600 questions), pictures/")
