"""One process: a thread reads, sorts and opens the next batches while the model answers one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from seedx.bulk.inputs import Input
from seedx.bulk.progress import Shown
from seedx.bulk.results import Results, Row
from seedx.bulk.rows import Query, as_columns

if TYPE_CHECKING:
    from seedx.bulk.worker import Worker

T = TypeVar("T")

WINDOW = 16  # batches that are sorted together
WINDOW_BYTES = 256 << 20  # of the pictures that come in records
AHEAD = 2  # batches that are opened before they are needed
_END = object()


def run(worker: Worker, todo: Iterator[Input], results: Results, shown: Shown) -> None:
    """Answer all inputs; each batch is on disk before the next one begins."""
    for inputs, opened in ahead(batches(worker, todo), AHEAD):
        columns = as_columns(worker.answers(opened))
        columns |= {"id": [each.id for each in inputs], "source": [each.source for each in inputs]}
        store(columns, results, shown)


def store(columns: dict[str, list[Any]], results: Results, shown: Shown) -> None:
    """Write the rows of one batch."""
    rows: list[Row] = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    results.add(rows)
    shown.add(len(rows), sum(row["error"] is not None for row in rows))


def batches(worker: Worker, todo: Iterator[Input]) -> Iterator[tuple[list[Input], list[Query]]]:
    """The inputs of each batch, and these with their pictures opened."""
    for window in windows(todo, WINDOW * worker.batch_size):
        queries = [Query(each.image, each.text, each.seed, each.error) for each in window]
        for group in worker.groups(queries):
            yield [window[at] for at in group], worker.opened([queries[at] for at in group])


def windows(todo: Iterable[Input], size: int) -> Iterator[list[Input]]:
    """At most `size` inputs, and not many more bytes than `WINDOW_BYTES`."""
    window, held = list[Input](), 0
    for each in todo:
        window.append(each)
        held += sum(len(one) for one in _listed(each.image) if isinstance(one, bytes))
        if len(window) == size or held > WINDOW_BYTES:
            yield window
            window, held = [], 0
    if window:
        yield window


def ahead(items: Iterator[T], count: int) -> Iterator[T]:
    """The same items, of which a thread makes up to `count` before they are asked for. Its error is raised here."""
    made: queue.Queue[Any] = queue.Queue(count)
    ended = threading.Event()

    def put(item: Any) -> bool:
        while not ended.is_set():
            try:
                made.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    return
            put((_END, None))
        except BaseException as error:
            put((_END, error))

    thread = threading.Thread(target=make, name="seedx-read", daemon=True)
    thread.start()
    try:
        while True:
            item, error = made.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        ended.set()


def _listed(image: Any) -> list[Any]:
    return image if isinstance(image, list) else [image]
