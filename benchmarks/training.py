"""Packed rows against padded ones: real tokens a second, forward and backward, of the same documents.

    python benchmarks/training.py [--json] [--rounds 5] [--threads 2] [--cpu-time]

A document is a conversation about a picture of 1 to 4 tiles (66 tokens each), its text log-normal around 170 tokens
(`conversations`) or 60 (`short_questions`). In each round, in turns:
    packed     the next 7 rows of 1,024 tokens from the loader, as one batch; reading and packing count
    fixed      the same documents, 8 in a batch, each padded to 880 tokens, as in the release
    longest    the same documents, 8 in a batch, padded to the longest of them
`vs_fixed` and `vs_longest` are packed / padded, in medians of the rounds. `padding_*` are the shares of padding. The
visual tokenizer, which is frozen and costs all ways the same, is left out: tiles are features.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from seedx.batch import IGNORE, Encoded, collate
from seedx.config import TINY, BridgeConfig
from seedx.data.loader import Loader
from seedx.data.record import Record
from seedx.data.shard_reader import Data
from seedx.data.stream import Row
from seedx.messages import Message
from seedx.model.seedx import SeedX
from seedx.tokens import SpecialTokens

MIXES = {"conversations": (170, 0.7), "short_questions": (60, 0.6)}  # median and sigma of the text, tokens
GOALS = {"conversations": (2.0, 1.5), "short_questions": (3.1, 1.3)}  # vs_fixed, vs_longest
FIXED, BATCH = 880, 8  # the padded ways
ROW, ROWS = 1024, 7  # ours: tokens of a row, rows of a batch

# The tiny model with the release's 64 tokens a tile. Two layers make a round a matter of seconds; with more of them the
# parts around them, which cost all ways the same, weigh less.
CONFIG = dataclasses.replace(
    TINY,
    language=dataclasses.replace(TINY.language, layers=2),
    bridge=BridgeConfig(queries=64, input_heads=8, output_heads=8),
)


@dataclass(frozen=True)
class Made:
    """Endless samples that say only which they are."""

    name: str

    def read(self, position: Any = None) -> Iterator[tuple[int, Record]]:
        number = position or 0
        while True:
            where = f"{self.name}/{number}"
            number += 1
            yield number, Record(where, {"messages": [{"role": "assistant", "content": where}]})


def encode(messages: list[Message]) -> Encoded:
    return document(messages[0].content[0].text)  # type: ignore[union-attr]


def document(name: str) -> Encoded:
    """Tiles, a third of the text that asks, two thirds that answer and are learned."""
    median, sigma = MIXES[name.split("/")[0]]
    draws = random.Random(name)
    tiles, text = draws.randint(1, 4), round(median * draws.lognormvariate(0, sigma))
    first = CONFIG.language.vocab_size - 330
    specials = SpecialTokens.at(first)
    spans = specials.patch(64) * (tiles - 1) + specials.image(64)
    words = [draws.randrange(3, first) for _ in range(max(4, min(text, FIXED - len(spans))))]
    ids = torch.tensor([*spans, *words])
    labels = ids.clone()
    labels[: len(spans) + len(words) // 3] = IGNORE
    read = torch.zeros(len(ids), dtype=torch.bool)
    read[: len(spans)] = torch.tensor([i in specials.placeholders for i in spans])
    return Encoded(
        input_ids=ids,
        labels=labels,
        position_ids=torch.arange(len(ids)),
        read_mask=read,
        draw_mask=torch.zeros_like(read),
        tiles=torch.randn(tiles, CONFIG.vision.queries, CONFIG.vision.output_dim),
        tile_positions=torch.rand(tiles, 2),
    )


def train(model: SeedX, rows: Sequence[Encoded], length: int | None = None) -> None:
    model.zero_grad(set_to_none=True)
    model(collate(rows, pad=0, length=length)).total.backward()


def packed(model: SeedX, rows: Iterator[Row]) -> list[str]:
    """Trains on the next rows; the documents that were in them."""
    batch = [next(rows) for _ in range(ROWS)]
    train(model, [row.encoded for row in batch], ROW)
    return [key for row in batch for key in row.keys]


def padded(model: SeedX, keys: Sequence[str], length: int | None) -> int:
    """Trains on the documents; the number of tokens with padding."""
    tokens = 0
    for i in range(0, len(keys), BATCH):
        rows = [document(key) for key in keys[i : i + BATCH]]
        train(model, rows, length)
        tokens += len(rows) * (length or max(map(len, rows)))
    return tokens


def measure(model: SeedX, mix: str, rounds: int, clock: Callable[[], float]) -> dict[str, Any]:
    def timed(way: Callable[..., Any], *given: Any) -> tuple[float, Any]:
        start = clock()
        result = way(model, *given)
        return clock() - start, result

    loader = Loader([Data(f"training.made:{mix}")], encode, seed=0, row=ROW, streams=1)
    rows = iter(loader)
    train(model, [next(rows).encoded])  # warms up
    rates: dict[str, list[float]] = {"packed": [], "fixed": [], "longest": []}
    total: dict[str, int] = {"real": 0, "packed": 0, "fixed": 0, "longest": 0}
    for number in range(rounds):
        seconds, keys = timed(packed, rows)
        real = sum(len(document(key)) for key in keys)
        random.Random(number).shuffle(keys)  # the loader put together what fits
        rates["packed"].append(real / seconds)
        total["real"] += real
        total["packed"] += ROWS * ROW
        for name, length in (("fixed", FIXED), ("longest", None)):
            seconds, tokens = timed(padded, keys, length)
            rates[name].append(real / seconds)
            total[name] += tokens
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "mix": mix,
        **{f"padding_{name}": 1 - total["real"] / total[name] for name in rates},
        **{f"{name}_tokens_per_second": value for name, value in medians.items()},
        "vs_fixed": medians["packed"] / medians["fixed"],
        "vs_longest": medians["packed"] / medians["longest"],
        "goal_vs_fixed": GOALS[mix][0],
        "goal_vs_longest": GOALS[mix][1],
    }


def made(mix: str, parts: int, run: str) -> list[Made]:
    """The units of the source `training.made:MIX`."""
    return [Made(mix)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each mix")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu-time", action="store_true", help="count CPU time: on a machine that has other work")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = SeedX(CONFIG)
    clock = time.process_time if options.cpu_time else time.perf_counter
    results = [measure(model, mix, options.rounds, clock) for mix in MIXES]
    if options.json:
        print(json.dumps({"threads": options.threads, "rounds": options.rounds, "results": results}, indent=1))
        return
    for r in results:
        shares = ", ".join(f"{name} {r[f'padding_{name}']:.0%}" for name in ("packed", "fixed", "longest"))
        print(f"{r['mix']}: {r['packed_tokens_per_second']:.0f} real tokens a second; padding: {shares}")
        print(f"    vs_fixed {r['vs_fixed']:.2f} (goal {r['goal_vs_fixed']}), ", end="")
        print(f"vs_longest {r['vs_longest']:.2f} (goal {r['goal_vs_longest']})")


if __name__ == "__main__":
    main()
