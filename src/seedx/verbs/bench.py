"""`seedx bench`: how long the model's verbs take on this machine."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from seedx.errors import SeedxError
from seedx.verbs.options import TINY, Source
from seedx.verbs.output import print_json

if TYPE_CHECKING:
    from seedx.inference.pipeline import Pipeline


def bench(*, repeats: int = 5, json: bool = False, source: Source = TINY) -> None:
    """Time the model's verbs on this machine.

    Args:
        repeats: number of timed runs of each verb; their median is shown.
        json: print one object of seconds.
    """
    from seedx.terminal import new_table, print_table

    if repeats < 1:
        raise SeedxError(f"repeats must be at least 1, not {repeats}")
    start = time.perf_counter()
    model = source.load()
    seconds = {"load": round(time.perf_counter() - start, 3), **timings(model, repeats)}
    if json:
        print_json(seconds)
        return
    table = new_table("verb", "seconds")
    for name, value in seconds.items():
        table.add_row(name, f"{value:.3f}")
    print_table(table)


def timings(model: Pipeline, repeats: int) -> dict[str, float]:
    """Median seconds of each verb, after one run that does not count."""
    import PIL.Image

    side = model.model.config.tiling.tile
    image = PIL.Image.radial_gradient("L").resize((side, side)).convert("RGB")
    wide = image.resize((4 * side, side))
    verbs: dict[str, Callable[[], object]] = {
        "question": lambda: model.chat("what is on the left?", [image], drawing="forbid", max_new_tokens=32),
        "panorama question": lambda: model.chat(
            "how many stars are there?", [wide], drawing="forbid", max_new_tokens=32
        ),
        "box": lambda: model.ground(image, "the star", max_new_tokens=32),
        "picture": lambda: model.draw("a cat on the beach", max_new_tokens=32),
        "edit": lambda: model.edit(image, "put a star on the left", max_new_tokens=32),
        "reconstruction": lambda: model.reconstruct(image, image),
    }
    return {name: round(median_seconds(name, verb, repeats), 3) for name, verb in verbs.items()}


def median_seconds(name: str, verb: Callable[[], object], repeats: int) -> float:
    from tqdm import trange

    verb()
    times = []
    for _ in trange(repeats, desc=name, delay=2, leave=False, disable=not sys.stderr.isatty()):
        start = time.perf_counter()
        verb()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
