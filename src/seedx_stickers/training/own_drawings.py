"""Training data made from the model's own drawings: turns that follow a picture that the model drew.

    python -m seedx_stickers.training.own_drawings

In a conversation the model edits its own drawings, which are not perfect, whereas training on scenes only shows perfect
renders. Here the model draws what a conversation asks for. If the judge accepts the drawing, the next turn becomes a
sample: the drawing to read, and the true answer. Turns with an "it" that only the turn before explains are left out.

    out/pictures/*.png
    out/conversations.jsonl    `messages` in the format of `seedx.data`, and an index, after which the next run resumes
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

import seedx
from seedx.inference.pipeline import Pipeline
from seedx.messages import Image as Picture
from seedx.messages import Message, Text, assistant, to_json, user
from seedx_stickers import scoring, tasks
from seedx_stickers.evaluation.item import Item
from seedx_stickers.evaluation.protocols import TURN_TOKENS
from seedx_stickers.judge import Judge, load_judge
from seedx_stickers.scenes import render
from seedx_stickers.tasks import Expected


def drawn_turn(seed: int, index: int) -> tuple[Item, int]:
    """The conversation of an index, and a turn of it that draws and is followed by another one."""
    rng = random.Random(f"own drawings/{seed}/{index}")
    while True:
        example = tasks.sample(rng, "chat")
        turns = [turn for turn, expected in enumerate(example.expected[:-1]) if expected.target]
        turns = [turn for turn in turns if not re.search(r"\bit\b", _words(example.messages[2 * turn + 2]))]
        if turns:
            turn = rng.choice(turns)
            return Item(example, rng.getrandbits(31)), turn


def is_right(judge: Judge, picture: Image.Image, expected: Expected) -> bool:
    """Whether the judge finds in a drawing everything that was asked for."""
    seen = judge.look(picture)
    if expected.source:
        return scoring.edit(seen, picture, expected)["done"] == 1
    return scoring.drawing(seen, expected)["all_objects"] == 1


def main(
    model: str = "tiny",
    *,
    out: Path = Path("runs/own-drawings"),
    n: int = 1400,
    seed: int = 1,
    batch: int = 16,
) -> None:
    """Draw for `n` conversations and keep the drawings that are right. Resumes an interrupted run.

    Args:
        model: the model that draws: "tiny", a folder or a hub id.
        out: the folder to write; a separate one for each seed.
    """
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    file = out / "conversations.jsonl"
    written = file.read_text(encoding="utf-8") if file.exists() else ""
    *lines, cut = written.split("\n")
    if cut:  # the last run was killed while it wrote a line
        file.write_text(written.removesuffix(cut), encoding="utf-8")
    first = json.loads(lines[-1])["index"] + 1 if lines else 0
    pipeline, judge, kept = seedx.load(model), load_judge(), len(lines)
    with file.open("a", encoding="utf-8") as opened, tqdm(total=n, initial=first, unit="drawing") as bar:
        for start in range(first, n, batch):
            indices = range(start, min(n, start + batch))
            for record in _records(pipeline, judge, out, seed, indices):
                opened.write(json.dumps(record) + "\n")
                kept += 1
            opened.flush()
            bar.update(len(indices))
    print(f"{kept} of {n} drawings were right: {file}")


def _records(pipeline: Pipeline, judge: Judge, out: Path, seed: int, indices: range) -> Iterator[dict[str, Any]]:
    turns = [drawn_turn(seed, index) for index in indices]
    conversations = [item.conversation(item.truth[:turn]) for item, turn in turns]
    seeds = [item.seed for item, _ in turns]
    replies = pipeline.reply_batch(conversations, drawing="force", seeds=seeds, max_new_tokens=TURN_TOKENS)
    for index, (item, turn), reply in zip(indices, turns, replies, strict=True):
        if reply.images and is_right(judge, reply.images[-1], item.example.expected[turn]):
            question, answer = item.example.messages[2 * turn + 2 : 2 * turn + 4]
            own = _saved(reply.images[-1], out, f"{index:05d}-own")
            true = (
                _saved(render(p.image), out, f"{index:05d}-true") if isinstance(p, Picture) else p
                for p in answer.content
            )
            yield {**to_json([user(own, *question.content), assistant(*true)]), "index": index}


def _saved(picture: Image.Image, out: Path, name: str) -> Picture:
    """Write a picture; returns it by its path relative to `out`."""
    picture.save(out / (path := f"pictures/{name}.png"))
    return Picture(path)


def _words(message: Message) -> str:
    return " ".join(part.text for part in message.content if isinstance(part, Text))


if __name__ == "__main__":
    import tyro

    tyro.cli(main)
