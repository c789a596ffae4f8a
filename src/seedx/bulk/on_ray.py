"""The same worker as actors of Ray Data, on this machine or on a cluster.

    units of the input -> read by tasks -> blocks of one batch -> actors with a model each -> rows, written here

Rows are written by this process alone, in the folder and the way of a run without Ray: what has a row is known by its
source before anything is read (`Done` goes to every reader), a kill loses what was running, and a run may be resumed
with Ray or without. Ray's own checkpoint (`ray.data.checkpoint`) writes rows from many machines at once, and would be
one more form of results.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from seedx.bulk.inputs import Inputs, Reader
from seedx.bulk.job import Job, RayOptions
from seedx.bulk.local import store
from seedx.bulk.progress import Shown
from seedx.bulk.results import Done, Results
from seedx.bulk.worker import Worker
from seedx.checks import integer, number
from seedx.cluster import start_ray, use_granted_threads
from seedx.errors import SeedxWarning

READ = ("id", "source", "image", "text", "seed", "error")


def run(job: Job, found: Inputs, done: Done, results: Results, shown: Shown, options: RayOptions) -> None:
    """Answer all inputs that have no row.

    Raises:
        MissingPackageError: Ray is not installed.
        SeedxError: a number of actors, CPUs or GPUs that can't be.
    """
    integer("actors", options.actors, 1)
    number("cpus_per_actor", options.cpus_per_actor, 0)
    number("gpus_per_actor", options.gpus_per_actor, 0)
    ray = start_ray(options.actors * options.cpus_per_actor)
    try:
        _warn_of_cpus(ray.cluster_resources().get("CPU", 0), options)
        for columns in _rows(ray, job, found, done, options):
            store(columns, results, shown)
    finally:
        ray.shutdown()


def _warn_of_cpus(there: float, options: RayOptions) -> None:
    """Actors keep their CPUs, and reading needs one: without it Ray waits, and says nothing."""
    needed = options.actors * options.cpus_per_actor + 1
    if there < needed:
        warnings.warn(
            f"the cluster has {there:g} CPUs, and {needed:g} are needed: {needed - 1:g} for {options.actors} actors, "
            "one to read; until machines join, nothing happens: give fewer --actors or --cpus-per-actor",
            SeedxWarning,
            stacklevel=2,
        )


def _rows(ray: Any, job: Job, found: Inputs, done: Done, options: RayOptions) -> Iterator[dict[str, list[Any]]]:
    """The columns of each block of answers, in any order."""
    import ray.data as data

    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.enable_operator_progress_bars = False
    units = list(found.units())  # names of files, no contents
    if not units:
        return
    inputs = data.from_items([{"unit": number} for number in range(len(units))], override_num_blocks=len(units))
    read = inputs.map_batches(
        _Read(ray.put(units), ray.put(done), job.batch_size), batch_size=1, num_cpus=0.5, batch_format="numpy"
    )
    blocks = read.repartition(target_num_rows_per_block=job.batch_size)
    answers = blocks.map_batches(
        RayWorker,
        fn_constructor_kwargs={"options": job.worker_options()},
        batch_size=job.batch_size,
        batch_format="pyarrow",
        compute=data.ActorPoolStrategy(size=options.actors),
        num_cpus=options.cpus_per_actor,
        num_gpus=options.gpus_per_actor or None,
    )
    for table in answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield table.to_pydict()


class _Read:
    """Reads a unit: what has no row yet, a batch at a time."""

    def __init__(self, units: Any, done: Any, rows: int) -> None:
        self.units, self.done, self.rows = units, done, rows

    def __call__(self, batch: dict[str, Any]) -> Iterator[Any]:
        import ray

        units: list[Reader] = ray.get(self.units)
        done: Done = ray.get(self.done)
        held: list[list[Any]] = []
        for unit in batch["unit"]:
            for each in units[int(unit)].read():
                if each.source not in done:
                    held.append([each.id, each.source, pack(each.image), each.text, each.seed, each.error])
                if len(held) == self.rows:
                    yield _inputs_table(held)
                    held = []
        yield _inputs_table(held)


def pack(image: Any) -> list[dict[str, Any]] | None:
    """Pictures of whatever form in the one of Hugging Face's datasets, so that all rows are of one type."""
    if image is None:
        return None
    listed = image if isinstance(image, list) else [image]
    return [{"bytes": None, "path": one} if isinstance(one, str) else {"bytes": one, "path": None} for one in listed]


def _inputs_table(rows: list[list[Any]]) -> Any:
    import pyarrow

    text, picture = pyarrow.string(), pyarrow.struct([("bytes", pyarrow.large_binary()), ("path", pyarrow.string())])
    kinds = [text, text, pyarrow.list_(picture), text, pyarrow.int64(), text]
    schema = pyarrow.schema(list(zip(READ, kinds, strict=True)))
    return pyarrow.Table.from_pylist([dict(zip(READ, row, strict=True)) for row in rows], schema=schema)


class RayWorker:
    """`Worker` between tables of Arrow, whose types are the same in every block."""

    def __init__(self, options: dict[str, Any]) -> None:
        use_granted_threads()
        self.worker = Worker(**options)

    def __call__(self, table: Any) -> Any:
        import pyarrow

        from seedx.bulk.parquet import schema

        answers = self.worker(table.to_pydict())
        kinds = schema()
        kinds = kinds.set(kinds.get_field_index("picture"), pyarrow.field("picture", pyarrow.large_binary()))
        return pyarrow.Table.from_pydict(answers, schema=kinds)
