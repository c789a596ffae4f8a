"""How long the model's verbs take on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import PIL.Image
from tqdm import trange

from seedx.errors import SeedxError
from seedx.inference.pipeline import Pipeline


def bench(model: Pipeline, repeats: int = 5) -> dict[str, float]:
    """Median seconds of each verb, after one run that does not count.

    Raises:
        SeedxError: no repeats.
    """
    if repeats < 1:
        raise SeedxError(f"repeats is at least 1, not {repeats}")
    side = model.model.config.tiling.tile
    picture = PIL.Image.radial_gradient("L").resize((side, side)).convert("RGB")
    verbs: dict[str, Callable[[], object]] = {
        "question": lambda: model.chat("what is on the left?", [picture], drawing="forbid", max_new_tokens=32),
        "panorama question": lambda: model.chat(
            "how many stars are there?", [picture.resize((4 * side, side))], drawing="forbid", max_new_tokens=32
        ),
        "box": lambda: model.ground(picture, "the star", max_new_tokens=32),
        "picture": lambda: model.draw("a cat on the beach", max_new_tokens=32),
        "edit": lambda: model.edit(picture, "put a star on the left", max_new_tokens=32),
        "reconstruction": lambda: model.reconstruct(picture, picture),
    }
    return {name: round(_median(name, verb, repeats), 3) for name, verb in verbs.items()}


def as_table(seconds: dict[str, float]) -> str:
    return "\n".join(f"{name:<20}{value:>8.3f} s" for name, value in seconds.items())


def _median(name: str, verb: Callable[[], object], repeats: int) -> float:
    verb()
    times = []
    for _ in trange(repeats, desc=name, delay=2, leave=False, disable=None):
        start = time.perf_counter()
        verb()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
