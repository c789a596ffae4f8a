"""Many pictures captioned: one at a time, in batches, by Ray; and a run that is killed again and again.

    OMP_NUM_THREADS=1 python benchmarks/batch.py --pictures 128 --kills 20 [--no-ray] [--json]

    alone     pictures a second, one after another, each opened and captioned by `model.caption`
    local     by `seedx batch`: `bulk.local` from reading to the rows on the disk, with the model loaded
    ray       by `seedx batch --runner ray` with 1 and 2 actors of one thread, after the first row, so that starting Ray
              and loading models does not count
    kills     runs in forks of this process, each killed by SIGKILL at a random moment after it began to write, until
              one ends: rows that are missing, and that are there twice

Pictures are scenes of stickers, of 96 and 224 pixels: of 1 and 5 tiles. Alone and local alternate, and their medians
count, since other work runs on most machines; rates by CPU time are those of a machine that is free.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import seedx
from seedx.bulk import local
from seedx.bulk.command import left
from seedx.bulk.inputs import Inputs, inputs
from seedx.bulk.job import Job, RayOptions
from seedx.bulk.progress import Shown
from seedx.bulk.results import Done, Results
from seedx.bulk.tasks import TASKS, Columns
from seedx.bulk.worker import Worker
from seedx.inference.pipeline import Pipeline
from seedx_stickers import scenes

SIDES = (96, 224)  # pixels
REPEATS = 3
PART = 16  # rows of a part, where runs are killed


def write_pictures(folder: Path, count: int, side: int) -> Inputs:
    folder.mkdir(parents=True)
    rng = random.Random(side)
    for number in range(count):
        scenes.sample(rng, count=3, unseen=False).render().resize((side, side)).save(folder / f"{number:05d}.png")
    return inputs(str(folder), TASKS["caption"], Columns())


class Watch:
    """Seconds, and CPU seconds of this process, since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter(), time.process_time()

    def rates(self, count: int) -> tuple[float, float]:
        return count / (time.perf_counter() - self._start[0]), count / (time.process_time() - self._start[1])


def rate_alone(model: Pipeline, found: Inputs) -> tuple[float, float]:
    paths = [each.image for each in found.read()]
    watch = Watch()
    for path in paths:
        model.caption(path)
    return watch.rates(len(paths))


def rate_local(model: Pipeline, found: Inputs, out: Path, batch_size: int) -> tuple[float, float]:
    worker = Worker("caption", model=model, batch_size=batch_size)
    watch = Watch()
    with Results(out, {}) as results, Shown(lambda: None, 0) as shown:
        local.run(worker, found.read(), results, shown)
    rates = watch.rates(results.rows)
    shutil.rmtree(out)
    return rates


def stages(model: Pipeline, found: Inputs, batch_size: int) -> dict[str, float]:
    """CPU milliseconds of a picture by stage, in batches of this size."""
    spent: Counter[str] = Counter()

    def watched(owner: Any, method: str, stage: Callable[..., str]) -> None:
        inner = getattr(owner, method)

        def outer(*args: Any, **options: Any) -> Any:
            start = time.process_time()
            result = inner(*args, **options)
            spent[stage(*args)] += time.process_time() - start  # type: ignore[assignment]
            return result

        setattr(owner, method, outer)

    seedx_model, make = model.model.seedx, model.engine.generation
    watched(seedx_model, "encode_images", lambda *_: "visual tokenizer")

    def generation() -> Any:
        made = make()
        watched(made.runner, "forward", lambda rows, embeds, _: "prompt" if len(embeds[0]) > 1 else "answer's tokens")
        return made

    model.engine.generation = generation  # type: ignore[method-assign]
    paths = [each.image for each in found.read()]
    start = time.process_time()
    for first in range(0, len(paths), batch_size):
        model.caption_batch(paths[first : first + batch_size])
    spent["together"] = time.process_time() - start  # type: ignore[assignment]
    model.engine.generation = make  # type: ignore[method-assign]
    del seedx_model.encode_images
    return {stage: round(1000 * seconds / len(paths), 1) for stage, seconds in spent.items()}


class Clock(Shown):
    """When rows came."""

    def __init__(self) -> None:
        super().__init__(lambda: None, 0)
        self.times: list[tuple[float, int]] = []

    def add(self, rows: int, errors: int) -> None:
        self.times.append((time.perf_counter(), rows))


def rate_ray(folder: Path, out: Path, actors: int, batch_size: int) -> float:
    """Rows a second from when every actor has answered to the end."""
    from seedx.bulk import on_ray

    job = Job("caption", str(folder), out, batch_size=batch_size)
    found, clock = inputs(str(folder), TASKS["caption"], Columns()), Clock()
    with Results(out, {}) as results:
        on_ray.run(job, found, Done([]), results, clock, RayOptions(actors))
    shutil.rmtree(out)
    (first, _), *rest = clock.times[2 * actors - 1 :]
    return sum(rows for _, rows in rest) / (rest[-1][0] - first)


def kills(model: Pipeline, folder: Path, out: Path, count: int) -> dict[str, Any]:
    """Kill so many runs, each a fork of this process, then let one end."""
    rng, killed = random.Random(0), 0
    for number in range(count + 1):
        before, pid, status = size(out), os.fork(), None
        if not pid:
            run_in_fork(model, folder, out)
        if number < count:
            while size(out) == before and status is None:
                time.sleep(0.01)
                ended, found = os.waitpid(pid, os.WNOHANG)
                status = found if ended else None  # everything has a row
            time.sleep(rng.random() * 0.5)
            if status is None:
                os.kill(pid, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1] if status is None else status)
    rows = [json.loads(line) for file in (out / "rows").iterdir() for line in file.read_text().splitlines()]
    seen = Counter(row["id"] for row in rows)
    wanted = {path.name for path in folder.iterdir()}
    return {
        "killed": killed,
        "inputs": len(wanted),
        "missing": len(wanted - set(seen)),
        "twice": sum(number > 1 for number in seen.values()),
        "errors": sum(row["error"] is not None for row in rows),
    }


def run_in_fork(model: Pipeline, folder: Path, out: Path) -> None:
    """What `seedx batch` does, with the model loaded before and parts of few rows."""
    code = 1
    try:
        found = inputs(str(folder), TASKS["caption"], Columns(), str(out))
        with Results(out, {}, part=PART) as results:
            done = Done(results.sources())
            with Shown(found.count, results.rows) as shown:
                local.run(Worker("caption", model=model, batch_size=2), left(found, done), results, shown)
        code = 0
    finally:
        os._exit(code)


def size(out: Path) -> int:
    """Bytes of what has been written."""
    return sum(file.stat().st_size for file in out.glob("**/*") if file.is_file()) if out.exists() else -1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--no-ray", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report: dict[str, Any] = {"threads": torch.get_num_threads()}
    with tempfile.TemporaryDirectory() as scratch:
        root, model = Path(scratch), seedx.load("tiny")
        for side in SIDES:
            found = write_pictures(root / str(side), options.pictures, side)
            rates = [
                (*rate_local(model, found, root / "out", options.batch_size), *rate_alone(model, found))
                for _ in range(REPEATS)
            ]
            here, here_cpu, alone, alone_cpu = (statistics.median(column) for column in zip(*rates, strict=True))
            values = (alone, here, here / alone, alone_cpu, here_cpu, here_cpu / alone_cpu)
            names = ("alone", "local", "ratio", "alone by CPU time", "local by CPU time", "ratio by CPU time")
            report[f"{side} px"] = {name: round(value, 2) for name, value in zip(names, values, strict=True)}
        for size_of in (1, options.batch_size):
            report[f"ms a picture of 224 px, {size_of} together"] = stages(model, found, size_of)
        if options.kills:  # before Ray has its threads
            report["kills"] = kills(model, root / "96", root / "killed", options.kills)
        if not options.no_ray:
            folder = root / "224"
            rates_ray = [rate_ray(folder, root / "ray", actors, 8) for actors in (1, 2)]
            found_rates = (*rates_ray, rates_ray[1] / rates_ray[0])
            named = zip(("1 actor", "2 actors", "ratio"), found_rates, strict=True)
            report["ray, 224 px"] = {name: round(value, 2) for name, value in named}
    print(json.dumps(report, indent=None if options.json else 2))
    broken = report.get("kills", {})
    sys.exit(1 if broken.get("missing") or broken.get("twice") else 0)


if __name__ == "__main__":
    main()
