"""The command: what it asks, whether it is the one that the results are of, and its run."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from seedx.bulk.inputs import Input, Inputs, inputs
from seedx.bulk.progress import Shown
from seedx.bulk.results import Done, Form, PictureForm, Results
from seedx.bulk.tasks import Columns, TaskName, task_of
from seedx.checks import integer
from seedx.data.sources import fingerprints
from seedx.errors import SeedxError

Runner = Literal["local", "ray"]


@dataclass(frozen=True)
class RayOptions:
    """How Ray runs it; ignored without `--runner ray`."""

    actors: int = 1
    """Workers, each with a model of its own."""
    cpus_per_actor: float = 1
    """CPUs of a worker, which are its threads too."""
    gpus_per_actor: float = 0
    """GPUs of a worker; above 0, give --device cuda as well."""


@dataclass(frozen=True)
class Job:
    """
    Attributes:
        source: INPUT.
        prompt: the text of inputs without one.
        settings: fields of `Settings`.
        load_options: as `seedx.load` takes them.
    """

    task: TaskName
    source: str
    output: Path
    prompt: str | None = None
    model: str = "tiny"
    columns: Columns = field(default_factory=Columns)
    batch_size: int = 32
    drawing: Any = "auto"
    condition: bool | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    load_options: dict[str, Any] = field(default_factory=dict)
    format: Form = "jsonl"
    pictures: PictureForm = "files"

    def worker_options(self) -> dict[str, Any]:
        """Keyword arguments of `Worker`, all of which can be pickled."""
        return {
            "task": self.task,
            "model": self.model,
            "prompt": self.prompt,
            "batch_size": self.batch_size,
            "drawing": self.drawing,
            "condition": self.condition,
            "settings": self.settings,
            "load_options": self.load_options,
        }

    def identity(self, found: Inputs) -> dict[str, Any]:
        """What the rows depend on. How they are computed (device, precision, batches, Ray) may change on the way."""
        adapter = self.load_options.get("adapter")
        return {
            "task": self.task,
            "input": found.source,
            "model": os.path.abspath(self.model) if os.path.isdir(self.model) else self.model,
            "adapter": None if adapter is None else str(adapter),
            "prompt": self.prompt,
            **asdict(self.columns),
            "drawing": self.drawing,
            "condition": self.condition,
            **self.settings,
            "files": {} if found.files is None else fingerprints([found.files]),
        }


@dataclass(frozen=True)
class Summary:
    """Rows that are there and errors among them, rows of this run, and its seconds without loading the model."""

    rows: int
    errors: int
    new: int
    seconds: float


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
    identity = job.identity(found)
    with Results(job.output, identity, job.format, job.pictures) as results:
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
