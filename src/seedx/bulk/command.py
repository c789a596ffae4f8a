"""The command: whether it is the one that the results are of, and its run."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from seedx.bulk.inputs import Input, Inputs, inputs
from seedx.bulk.job import Job, RayOptions, Runner, Summary
from seedx.bulk.progress import Shown
from seedx.bulk.results import Done, Results
from seedx.bulk.tasks import task_of
from seedx.checks import integer
from seedx.data.sources import fingerprints
from seedx.errors import SeedxError


def run(job: Job, runner: Runner = "local", ray: RayOptions | None = None) -> Summary:
    """Answer what has no row yet.

    Raises:
        SeedxError: an input, output or option that can't be; the results are another job's; another process writes
            them.
    """
    task = task_of(job.task)
    integer("batch_size", job.batch_size, 1)
    found = inputs(job.source, task, job.columns, str(job.output))
    if task.text and job.prompt is None and found.files is None:
        raise SeedxError(f"pictures have no text of their own: say what {job.task} is asked by --prompt")
    if os.path.realpath(found.source) == os.path.realpath(job.output):
        raise SeedxError(f"the output {job.output} is the input as well: give another folder")
    with Results(job.output, identity(job, found), job.format, job.pictures) as results:
        done = Done(results.sources())
        before = results.rows
        with Shown(found.count, before) as shown:
            start = time.monotonic()
            if runner == "ray":
                from seedx.bulk import on_ray

                on_ray.run(job, found, done, results, shown, ray or RayOptions())
            else:
                start = _run_here(job, left(found, done), results, shown) or start
        return Summary(results.rows, results.errors, results.rows - before, time.monotonic() - start)


def left(found: Inputs, done: Done) -> Iterator[Input]:
    """The inputs that have no row."""
    return (each for each in found.read() if each.source not in done)


def _run_here(job: Job, todo: Iterator[Input], results: Results, shown: Shown) -> float | None:
    """When it began, with the model loaded; None if nothing is left to do."""
    first = next(todo, None)
    if first is None:
        return None
    from seedx.bulk import local
    from seedx.bulk.worker import Worker

    worker = Worker(**job.worker_options())
    start = time.monotonic()
    local.run(worker, itertools.chain([first], todo), results, shown)
    return start


def identity(job: Job, found: Inputs) -> dict[str, Any]:
    """What the rows depend on. How they are computed (device, precision, batches, Ray) may change on the way."""
    adapter = job.load_options.get("adapter")
    return {
        "task": job.task,
        "input": found.source,
        "model": os.path.abspath(job.model) if os.path.isdir(job.model) else job.model,
        "adapter": None if adapter is None else str(adapter),
        "prompt": job.prompt,
        **asdict(job.columns),
        "drawing": job.drawing,
        "condition": job.condition,
        **job.settings,
        "files": {} if found.files is None else fingerprints([found.files]),
    }
