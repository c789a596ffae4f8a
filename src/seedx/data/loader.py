"""The rows of all streams in one order, the same for any number of ranks and worker processes.

Row n of the whole run is from stream n % V. Rank r of R yields the rows with n % R == r, which come from the streams
with that remainder. Its workers have these streams in turn: torch's DataLoader takes a row from each worker in turn,
and that is the right order already. V = 8 streams, 2 ranks with 2 workers each:

    row      0  1  2  3  4  5  6  7  8 ...
    stream   0  1  2  3  4  5  6  7  0
    rank     0  1  0  1  0  1  0  1  0
    worker   0  0  1  1  0  0  1  1  0

A resumed loader assigns its streams to the workers beginning with the one whose turn it is. The position of each
stream is in the state of its last row: what workers had read ahead is read again.

Streams of data with `epochs` end at different rows; the others continue in the same order. Then one rank can end before
another, and the rows are the same for any number of ranks only until the first stream has ended.
"""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from seedx.data.sample_errors import SampleErrors
from seedx.data.shard_reader import Data, open_mixture
from seedx.data.stream import Encode, Row, Stream
from seedx.errors import SeedxError

# A stream's number, its next row, its state after that and the sample errors; an error; or a turn without a row.
Item = tuple[int, Row | None, Any, SampleErrors] | ValueError | OSError | None
PREFETCH = 4  # rows that a worker reads ahead at least


class Loader:
    """Iterate over it for one rank's rows. Iterated again, it continues after the last row that it gave.

    Args:
        encode: messages -> a document, None if it is too long; it opens the pictures. Runs in the workers.
        seed: of every random choice.
        row: tokens of a row at most.
        streams: a multiple of `ranks` times the workers; a checkpoint can be continued only with the same number.
        workers: processes that read ahead; 0 reads in this one.
        ahead: rows that they read ahead together: those of a step, or each step waits for its last row.
        state: of every stream of this rank at least; None is the start.
        max_sample_errors: see `Stream`.
        run: see `open_source`.

    Attributes:
        state: by number of the stream, after the last row that was given, JSON-able; the state of a run is the union of
            its ranks'.
        sample_errors: of the samples after the last row, once the data has ended.

    Raises:
        SeedxError: streams that can't be divided evenly; while iterating, what `Stream` raises.
    """

    def __init__(
        self,
        data: Sequence[Data],
        encode: Encode,
        *,
        seed: int,
        row: int,
        streams: int = 16,
        rank: int = 0,
        ranks: int = 1,
        workers: int = 0,
        ahead: int = 0,
        state: dict[int, Any] | None = None,
        max_sample_errors: float = 1.0,
        run: str = "",
    ) -> None:
        readers = ranks * max(1, workers)
        if streams % readers:
            raise SeedxError(
                f"{streams} streams can't be divided evenly among {ranks} ranks of {max(1, workers)} readers: "
                f"make streams a multiple of {readers}"
            )
        self.sources, self.workers = open_mixture(data, streams, run), workers
        self.prefetch = max(PREFETCH, -(-ahead // workers)) if workers else None
        self.settings: dict[str, Any] = {
            "encode": encode,
            "streams": streams,
            "seed": seed,
            "row": row,
            "max_sample_errors": max_sample_errors,
        }
        given = {int(number): position for number, position in (state or {}).items()}  # JSON's keys are strings
        self.numbers = range(rank, streams, ranks)
        self.state = {number: given[number] for number in self.numbers if number in given}
        missing = [number for number in self.numbers if number not in given]
        if missing and any(position["rows"] > 1 for position in given.values()):
            raise SeedxError(
                f"the checkpoint has no state of the streams {missing}, which would start again: give the states of "
                "all ranks together"
            )
        self.sample_errors = SampleErrors()

    def __iter__(self) -> Iterator[Row]:
        self.sample_errors = SampleErrors()
        for item in DataLoader(
            _Rows(self._streams()),
            batch_size=None,
            num_workers=self.workers,
            collate_fn=_as_it_is,
            worker_init_fn=leave_process_group,
            prefetch_factor=self.prefetch,
        ):
            if isinstance(item, bytes):
                item = pickle.loads(item)
            if isinstance(item, (ValueError, OSError)):
                raise item
            if item is None:
                continue
            number, row, self.state[number], errors = item
            self.sample_errors.merge(errors)
            if row is not None:
                row.sample_errors, self.sample_errors = self.sample_errors, SampleErrors()
                yield row

    def _streams(self) -> list[Stream]:
        """Beginning with the one whose turn it is. (One that had ended has fewer rows, and ends again without one.)"""

        def turn(number: int) -> tuple[int, int]:
            return self.state.get(number, {"rows": 0})["rows"], number

        return [
            Stream(self.sources, number=number, state=self.state.get(number), **self.settings)
            for number in sorted(self.numbers, key=turn)
        ]


class _Rows(IterableDataset[Any]):
    """In a worker: its streams' rows in turn, each with its stream's number, the state after it and its sample errors.

    A stream that has ended yields the same without a row once, then None in its turns, so that the turns of the others
    stay what they are. An error of the data is yielded: DataLoader would bury its message in a traceback.
    """

    def __init__(self, streams: Sequence[Stream]) -> None:
        self.streams = streams

    def __iter__(self) -> Iterator[Item | bytes]:
        worker = get_worker_info()
        if worker is None:
            return self._items(self.streams)
        return map(_packed, self._items(self.streams[worker.id :: worker.num_workers]))

    def _items(self, streams: Sequence[Stream]) -> Iterator[Item]:
        rows = {stream.number: iter(stream) for stream in streams}
        try:
            while rows:
                for stream in streams:
                    row = next(rows[stream.number], None) if stream.number in rows else None
                    if row is not None:
                        yield stream.number, row, row.state, row.sample_errors
                    elif rows.pop(stream.number, None) is not None:
                        yield stream.number, None, stream.state, stream.sample_errors
                    else:
                        yield None
        except (ValueError, OSError) as error:
            yield error


class _Pickler(pickle.Pickler):
    """Pickles tensors by value. (Torch shares a file of memory for each between processes, requested over a socket:
    for a row's eight small tensors that takes longer than all else.)"""

    def reducer_override(self, value: Any) -> Any:
        return (torch.from_numpy, (value.numpy(),)) if isinstance(value, Tensor) else NotImplemented


def _packed(item: Item) -> bytes:
    file = io.BytesIO()
    _Pickler(file, protocol=5).dump(item)
    return file.getvalue()


def leave_process_group(worker: int) -> None:
    """For worker processes: only the training process handles Ctrl-C and SIGTERM to the whole group.

    A worker does not ignore signals: SIGTERM is how Python ends it with its parent.
    """
    os.setpgrp()


def _as_it_is(item: Any) -> Any:
    """DataLoader's own collate would turn the tuples of a state into lists, and numbers into tensors."""
    return item
