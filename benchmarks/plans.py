"""Does a plan help a drawing? The bundled model with tokens for plans, and what the judge sees in a model's drawings.

python benchmarks/plans.py init --out runs/plans/base           # the bundled model with two more tokens
seedx train recipes/plans/planned.toml --folder runs/plans/planned
seedx train recipes/plans/plain.toml --folder runs/plans/plain
python benchmarks/plans.py measure --model runs/plans/planned --sheet runs/plans/planned.png
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import torch
import tyro
from diffusers.utils import make_image_grid
from PIL import Image
from tokenizers import AddedToken, Tokenizer
from torch import nn

import seedx
from seedx.checkpoint import native
from seedx.inference.pipeline import Pipeline
from seedx.inference.reply import Reply
from seedx.messages import Message, Text
from seedx.tokenizer import JsonTokenizer
from seedx.tokens import PLAN_TOKENS
from seedx_stickers import scoring, tasks
from seedx_stickers.art import OBJECTS
from seedx_stickers.evaluation.item import Item
from seedx_stickers.evaluation.outside import SEEDS, distinct
from seedx_stickers.evaluation.scores import picture_of
from seedx_stickers.judge import STRICT, Judge, load_judge
from seedx_stickers.layout import Ask
from seedx_stickers.tasks import grammar


def free(asks: tuple[Ask, ...]) -> bool:
    return not any(ask.place or ask.wears for ask in asks)


KINDS: dict[str, Callable[[tuple[Ask, ...]], bool]] = {
    "several of one": lambda asks: free(asks) and len(asks) == 1 and asks[0].count > 1,
    "two": lambda asks: free(asks) and len(asks) == sum(ask.count for ask in asks) == 2,
    "three": lambda asks: free(asks) and len(asks) == sum(ask.count for ask in asks) == 3,
    "mixed": lambda asks: free(asks) and len(asks) > 1 and any(ask.count > 1 for ask in asks),
    "four": lambda asks: free(asks) and len(asks) == sum(ask.count for ask in asks) == 4,
    "placed": lambda asks: all(ask.place for ask in asks),
}


def init(out: Path) -> None:
    """Write the bundled model with the tokens of plans."""
    pipeline = seedx.load("tiny")
    model = pipeline.model
    model.need("vision", "language", "bridge", "detokenizer", "vae")
    words = Tokenizer.from_str(model.tokenizer._full.to_str())  # type: ignore[attr-defined]
    words.add_tokens([AddedToken(token, normalized=False) for token in PLAN_TOKENS])
    llm = model.seedx.language.llm
    before = len(llm.lm_head.weight)
    for module in (llm.model.embed_tokens, llm.lm_head):
        module.weight = nn.Parameter(nn.functional.pad(module.weight.data, (0, 0, 0, len(PLAN_TOKENS))))
    model.seedx.language.init_new_rows(before)
    language = dataclasses.replace(model.config.language, vocab_size=len(llm.lm_head.weight))
    model.config = dataclasses.replace(model.config, language=language)
    model.tokenizer = JsonTokenizer(words.to_str())
    native.save(model, out, torch.float16)


def items(kind: str, n: int, seed: int) -> list[Item]:
    """Held-out drawings of a kind, of the templates and the grammar in turn; one in four has an unseen combination."""
    rng = random.Random(f"eval/plans/{seed}/{kind}")
    found: list[Item] = []
    while len(found) < n:
        unseen = len(found) % 4 == 0
        if len(found) % 2:
            example = grammar.sample(rng, "draw", unseen, plain=True)
        else:
            example = tasks.sample(rng, "draw" if kind == "placed" else "draw:unplaced", unseen)
        if KINDS[kind](example.expected[0].asked):
            found.append(Item(example, rng.getrandbits(30)))
    return found


def drawn(model: Pipeline, conversations: list[list[Message[Image.Image]]], seeds: list[int]) -> list[Reply]:
    replies: list[Reply] = []
    for first in range(0, len(seeds), 16):
        part = slice(first, first + 16)
        replies += model.reply_batch(conversations[part], drawing="force", seeds=seeds[part])
    return replies


def shares(judge: Judge, every: list[Item], replies: list[Reply]) -> dict[str, float]:
    values = [
        scoring.drawing(judge.look(picture_of(reply)), item.expected)
        for item, reply in zip(every, replies, strict=True)
    ]
    exact = [float(bool(value["all_objects"] and value["none_extra"])) for value in values]
    means = {"exact": sum(exact) / len(exact)}
    if any(part for reply in replies for part in reply.plans):
        means["plan"] = sum(map(well_planned, every, replies)) / len(every)
    for name in ("all_objects", "place", "background"):
        known = [score for value in values if (score := value[name]) is not None]
        means |= {name: sum(known) / len(known)} if known else {}
    return means


def well_planned(item: Item, reply: Reply) -> bool:
    """Whether the plan names what was asked for, nothing else, and the boxes of the stickers do not overlap by much."""
    planned = reply.plans[-1] if reply.plans else []
    wanted = Counter(each.name for each in scoring.truth(item.target).objects)
    stickers = [box.box for box in planned if not OBJECTS.get(box.label, OBJECTS["cat"]).wearable]
    apart = all(scoring.iou(one, other) < 0.05 for one, other in combinations(stickers, 2))
    return Counter(box.label for box in planned) == wanted and apart


def measure(model: str, n: int = 32, captions: int = 5, seed: int = 7, sheet: Path | None = None) -> None:
    """Print, for each kind of caption, the shares of drawings that the strict judge finds right, and how many layouts
    eight seeds give.

    Args:
        n: captions of a kind, each drawn once.
        captions: of a kind, those that are drawn with eight seeds.
        sheet: where to put a picture of these drawings, a row for each caption.
    """
    pipeline, judge = seedx.load(model), load_judge(STRICT)
    table: dict[str, dict[str, float]] = {}
    rows: list[list[Image.Image]] = []
    for kind in KINDS:
        every = items(kind, n, seed)
        replies = drawn(pipeline, [item.conversation() for item in every], [item.seed for item in every])
        table[kind] = shares(judge, every, replies)
        if kind == "placed":
            continue
        several = [(item, item.seed + number) for item in every[:captions] for number in range(SEEDS)]
        answers = drawn(pipeline, [item.conversation() for item, _ in several], [each for _, each in several])
        found = []
        for index, item in enumerate(every[:captions]):
            answer = tuple(answers[index * SEEDS : (index + 1) * SEEDS])
            found.append(distinct(judge, item, answer))
            rows.append([picture_of(reply) for reply in answer])
            print(len(rows), "".join(p.text for p in item.conversation()[0].content if isinstance(p, Text)))
        for name in ("layouts", "all_objects"):
            table[kind][f"seeds: {name}"] = sum(float(each[name] or 0) for each in found) / len(found)
        print(kind, json.dumps(table[kind]), flush=True)
    print(json.dumps(table, indent=1))
    if sheet:
        make_image_grid([picture for row in rows for picture in row], len(rows), SEEDS).save(sheet)


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict({"init": init, "measure": measure})
