"""Drawing with fewer passes of the U-Net against drawing as the tiny model is set: how fast, how good to the judge.

    python benchmarks/quicker.py [--json] [--n 100] [--abilities draw edit] [--sheet sheet.png]

The language model predicts the features of n held-out drawings and n edits once. Then every way decodes them, batch by
batch in turns within one process, so that all ways see the same machine. Seconds are CPU time of a batch of 10,
medians; `ratio` is that of the first way to this one. The score is the judge's: the share of drawings with all objects,
and of edits done; lost and won are pictures that only the first way, or only this one, got right. `psnr` compares the
pictures with the first way's, in dB. The sheet has a row for each way.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import seedx
from seedx.inference.engine import Request
from seedx.inference.events import ImageEvent
from seedx.inference.image_decoder import ImageRequest
from seedx.inference.pipeline import Pipeline
from seedx.inference.settings import Settings
from seedx_stickers import scoring
from seedx_stickers.evaluation.abilities import item_of
from seedx_stickers.evaluation.item import Item
from seedx_stickers.judge import load_judge

THREADS, BATCH, SHOWN, SEED = 1, 10, 8, 5
DPM, UNIPC = "DPMSolverMultistepScheduler", "UniPCMultistepScheduler"
WAYS: dict[str, dict[str, Any]] = {  # settings of the image, and options of loading: dtype
    "as set (Euler, 12 steps)": {},
    "Euler, 6 steps": {"steps": 6},
    "Euler, 4 steps": {"steps": 4},
    "DPM-Solver++, 6 steps": {"sampler": DPM, "steps": 6},
    "DPM-Solver++, 5 steps": {"sampler": DPM, "steps": 5},
    "DPM-Solver++, 4 steps": {"sampler": DPM, "steps": 4},
    "UniPC, 5 steps": {"sampler": UNIPC, "steps": 5},
    "LCM, 4 steps": {"sampler": "LCMScheduler", "steps": 4},
    "guidance in the first half": {"guidance_interval": (0.0, 0.5)},
    "guidance after the first quarter": {"guidance_interval": (0.25, 1.0)},
    "deep features every 2 steps": {"cache_interval": 2},
    "deep features every 3 steps": {"cache_interval": 3},
    "bfloat16": {"dtype": torch.bfloat16},
    "DPM-Solver++, 5 steps, bfloat16": {"sampler": DPM, "steps": 5, "dtype": torch.bfloat16},
}
LOADING = ("dtype",)


def models() -> dict[str, Pipeline]:
    """The model as each way loads it."""
    loaded: dict[Any, Pipeline] = {}
    for way in WAYS.values():
        how = loading(way)
        if how not in loaded:
            loaded[how] = seedx.load("tiny", **dict(how))
    return {name: loaded[loading(way)] for name, way in WAYS.items()}


def loading(way: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, way[name]) for name in LOADING if name in way)


def image_requests(model: Pipeline, items: list[Item], edits: bool) -> list[ImageRequest]:
    """What the language model makes of the items, one image each."""
    engine = model.engine
    requests = [
        Request(engine.open(item.conversation()), Settings(seed=item.seed % 1000), "force", edits) for item in items
    ]
    found: dict[int, ImageRequest] = {}
    for index, event in engine.respond(requests):
        if isinstance(event, ImageEvent):
            found.setdefault(index, engine.image_request(requests[index], 0, event.features))
    return [found[index] for index in range(len(items))]


def decoded(model: Pipeline, requests: list[ImageRequest], way: dict[str, Any]) -> tuple[list[Image.Image], float]:
    """The pictures, and CPU seconds."""
    settings = {name: value for name, value in way.items() if name not in LOADING}
    with_way = [dataclasses.replace(each, settings=dataclasses.replace(each.settings, **settings)) for each in requests]
    start = time.process_time()
    pictures = model.engine.image_decoder.decode(with_way)
    return pictures, time.process_time() - start


def measure(loaded: dict[str, Pipeline], ability: str, n: int) -> tuple[list[dict[str, Any]], list[list[Image.Image]]]:
    judge, items = load_judge(), [item_of(SEED, ability, index) for index in range(n)]
    plain = next(iter(WAYS))
    pictures: dict[str, list[Image.Image]] = {name: [] for name in WAYS}
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for start in range(0, n, BATCH):
        requests = image_requests(loaded[plain], items[start : start + BATCH], ability == "edit")
        for name, way in WAYS.items():
            if not start:
                decoded(loaded[name], requests, way)  # loads the weights
            drawn, spent = decoded(loaded[name], requests, way)
            pictures[name] += drawn
            seconds[name].append(spent)
    scores = {
        name: [score(judge, ability, item, picture) for item, picture in zip(items, pictures[name], strict=True)]
        for name in WAYS
    }
    rows = []
    for name in WAYS:
        pairs = list(zip(scores[plain], scores[name], strict=True))
        rows.append(
            {
                "ability": ability,
                "way": name,
                "seconds": statistics.median(seconds[name]),
                "ratio": statistics.median(a / b for a, b in zip(seconds[plain], seconds[name], strict=True)),
                "score": statistics.fmean(scores[name]),
                "lost": sum(a > b for a, b in pairs),
                "won": sum(a < b for a, b in pairs),
                "psnr": statistics.fmean(map(psnr, pictures[plain], pictures[name])) if name != plain else None,
            }
        )
    return rows, [each[:SHOWN] for each in pictures.values()]


def score(judge: Any, ability: str, item: Item, picture: Image.Image) -> float:
    seen = judge.look(picture)
    if ability == "edit":
        return scoring.edit(seen, picture, item.expected)["done"] or 0.0
    return scoring.drawing(seen, item.expected)["all_objects"] or 0.0


def psnr(one: Image.Image, other: Image.Image) -> float:
    error = np.square(np.asarray(one, np.float64) - np.asarray(other, np.float64)).mean()
    return 10 * math.log10(255**2 / max(error, 1e-3))


def sheet(rows: list[list[Image.Image]]) -> Image.Image:
    side = 96
    image = Image.new("RGB", (side * SHOWN, side * len(rows)), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            image.paste(picture.resize((side, side)), (x * side, y * side))
    return image


def as_table(rows: list[dict[str, Any]]) -> str:
    lines = [f"| {rows[0]['ability']} | seconds | ratio | score | lost, won | psnr |", "|---|---|---|---|---|---|"]
    for r in rows:
        against = "" if r["psnr"] is None else f"{r['psnr']:.1f}"
        words = f"{r['seconds']:.2f} | {r['ratio']:.2f} | {r['score']:.2f} | {r['lost']}, {r['won']} | {against}"
        lines.append(f"| {r['way']} | {words} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--n", type=int, default=100, help="drawings, and edits")
    parser.add_argument("--abilities", nargs="+", default=["draw", "edit"], choices=["draw", "edit"])
    parser.add_argument("--sheet", type=Path, help="file for a sheet of the first pictures")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    loaded = models()
    rows, shown = [], []
    for ability in options.abilities:
        measured, pictures = measure(loaded, ability, options.n)
        rows += measured
        shown += pictures
        if not options.json:
            print(as_table(measured), flush=True)
    if options.json:
        print(json.dumps({"threads": THREADS, "batch": BATCH, "n": options.n, "results": rows}, indent=1))
    if options.sheet:
        sheet(shown).save(options.sheet)


if __name__ == "__main__":
    main()
