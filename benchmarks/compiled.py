"""A static cache, and compiled passes, against the model as it is loaded: CPU seconds of a token and of a drawing.

    python benchmarks/compiled.py [--repeats 5] [--large] [--json]

    token      a pass of the decode loop, the median of 48 after a prompt of 64 tokens, for 1 row and for 8 rows
    drawing    four pictures of the tiny model, from features to pixels

for the tiny model, and with `--large` tokens of a language model of SmolLM2-135M's shape, random weights, in float32
and bfloat16, all ways in turns. `ratio` is that of the first way to this one; `first` is what the first passes took
more, which is compiling. One thread; seconds are those of the processor, so that other work does not count.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

import seedx
from image_span import SMOL, Ids
from seedx.engines.compiled import StaticPasses
from seedx.engines.torch_runner import TorchRunner
from seedx.inference.generate import Generation
from seedx.inference.image_decoder import ImageRequest
from seedx.inference.pipeline import Pipeline
from seedx.inference.rows import Prompt, RowRequest, SamplingSettings
from seedx.model.seedx import SeedX

PROMPT, NEW, PICTURES = 64, 48, 4
WAYS = ("dynamic", "static", "compiled")
DTYPES = (torch.float32, torch.bfloat16)


class Decoding:
    """The decode loop of one model by one way."""

    def __init__(self, model: SeedX, vocabulary: Any, way: str) -> None:
        self.model, self.vocabulary = model, vocabulary
        self.static = None if way == "dynamic" else StaticPasses(model.language, compiled=way == "compiled")

    def seconds(self, rows: int) -> list[float]:
        """Of each pass after the prompts."""
        generation = Generation(self.model, self.vocabulary, TorchRunner(self.model.language, static=self.static))
        ids = torch.randint(3, 1000, (PROMPT,), generator=torch.Generator().manual_seed(0))
        settings = SamplingSettings(max_new_tokens=4 * NEW, drawing="forbid")
        joined = generation.join([RowRequest(Prompt(ids), settings)] * rows)
        generation.step()
        found = []
        for _ in range(NEW):
            for row in joined:
                if not row.running:  # random weights may choose the end
                    row.running, row.pending = True, [5]
            start = time.process_time()
            generation.step()
            found.append(time.process_time() - start)
        for row in joined:
            generation.leave(row)
        return found


def in_turns(ways: dict[str, Callable[[], list[float]]], repeats: int) -> dict[str, dict[str, float]]:
    """Medians in ms, ratios to the first way, and what the first pass took more, in seconds."""
    first = {name: max(way()) for name, way in ways.items()}
    runs: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            runs[name].append(statistics.median(way()))
    plain = next(iter(ways))
    medians = {name: statistics.median(each) for name, each in runs.items()}
    return {
        name: {
            "ms": 1000 * value,
            "ratio": statistics.median(a / b for a, b in zip(runs[plain], runs[name], strict=True)),
            "first": first[name] - value,
        }
        for name, value in medians.items()
    }


def tokens(name: str, model: SeedX, vocabulary: Any, repeats: int) -> list[dict[str, Any]]:
    ways = {way: Decoding(model, vocabulary, way) for way in WAYS}
    kind = str(next(model.parameters()).dtype).removeprefix("torch.")
    found = []
    for rows in (1, 8):
        measured = in_turns({way: partial(each.seconds, rows) for way, each in ways.items()}, repeats)
        found.append({"what": f"token, {name}", "dtype": kind, "rows": rows, "ways": measured})
    return found


def drawings(dtype: torch.dtype, repeats: int) -> dict[str, Any]:
    torch.manual_seed(0)
    ways = {way: seedx.load("tiny", dtype=dtype, compile=way == "compiled") for way in ("dynamic", "compiled")}
    config = ways["dynamic"].model.config
    features = torch.randn(PICTURES, config.vision.pooled, config.vision.output_dim)

    def drawn(model: Pipeline) -> list[float]:
        start = time.process_time()
        model.engine.image_decoder.decode([ImageRequest(each) for each in features])
        return [time.process_time() - start]

    measured = in_turns({way: partial(drawn, model) for way, model in ways.items()}, repeats)
    return {"what": "drawing, tiny", "dtype": str(dtype).removeprefix("torch."), "rows": PICTURES, "ways": measured}


def as_table(row: dict[str, Any]) -> str:
    each = [f"{v['ms']:.2f} ms, {v['ratio']:.2f} ({v['first']:.0f} s)" for v in row["ways"].values()]
    each = each if len(each) == len(WAYS) else [each[0], "", each[1]]
    return f"| {row['what']} | {row['dtype']} | {row['rows']} | " + " | ".join(each) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="runs of each way")
    parser.add_argument("--large", action="store_true", help="SmolLM2's shape, too")
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found: list[dict[str, Any]] = []

    def note(*rows: dict[str, Any]) -> None:
        found.extend(rows)
        if not options.json:
            print(*map(as_table, rows), sep="\n", flush=True)

    for dtype in DTYPES:
        note(drawings(dtype, options.repeats))
        tiny = seedx.load("tiny", dtype=dtype)
        tiny.model.need("language", "bridge")
        note(*tokens("tiny", tiny.model.seedx, tiny.model.tokenizer, options.repeats))
        torch.compiler.reset()
        if options.large:
            torch.manual_seed(0)
            note(*tokens(SMOL.name, SeedX(SMOL).eval().to(dtype), Ids(SMOL), options.repeats))
            torch.compiler.reset()
    if options.json:
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
