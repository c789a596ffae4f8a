"""The rows of all streams in one order, the same for any number of ranks and worker processes.

Row n of the whole run is from stream n % V. Rank r of R hands out the rows with n % R == r, which come from the streams
with that remainder, and its workers share these streams in turns: torch's DataLoader takes a row from each worker in
turn, and that is the right order already. V = 8 streams, 2 ranks with 2 workers each:

    row      0  1  2  3  4  5  6  7  8 ...
    stream   0  1  2  3  4  5  6  7  0
    rank     0  1  0  1  0  1  0  1  0
    worker   0  0  1  1  0  0  1  1  0

A resumed loader deals its streams to the workers from the one whose turn it is. Where each stream was is in the state
that came with its last row: what workers had read ahead is read again.

Streams of data with `epochs` end at different rows; the others go on in the same order. Then one rank can end before
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

from seedx.data.sample_errors import Faults
from seedx.data.shard_reader import Data, open_mixture
from seedx.data.stream import Encode, Row, Stream
from seedx.errors import SeedxError

# A stream's number, its next row, its state after that and what was read for it; an error; or a turn without a row.
Item = tuple[int, Row | None, Any, Faults] | ValueError | OSError | None
PREFETCH = 4  # rows that a worker is ahead at least


class Loader:
    """Iterate over it for one rank's rows. Again: it goes on after the last one handed out.

    Args:
        encode: messages -> a document, None if it is too long; it opens the pictures. Runs in the workers.
        seed: of every random choice.
        row: tokens of a row at most.
        streams: a multiple of `ranks` times the workers; a checkpoint can be continued only with the same number.
        workers: processes that read ahead; 0 reads in this one.
        ahead: rows that they are ahead together: those of a step, or the loop waits for the last of them in each.
        state: of every stream of this rank at least; None is the beginning.
        max_faults: see `Stream`.
        run: see `open_source`.

    Attributes:
        state: by number of the stream, after the last row handed out, JSON-able; the state of a run is the union of
            its ranks'.
        faults: what was read after the last row, once the data has ended.

    Raises:
        SeedxError: streams that can't be shared evenly; while iterating, what `Stream` raises.
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
        max_faults: float = 1.0,
        run: str = "",
    ) -> None:
        readers = ranks * max(1, workers)
        if streams % readers:
            raise SeedxError(
                f"{streams} streams can't be shared evenly by {ranks} ranks of {max(1, workers)} readers: "
                f"make it a multiple of {readers}"
            )
        self.sources, self.workers = open_mixture(data, streams, run), workers
        self.prefetch = max(PREFETCH, -(-ahead // workers)) if workers else None
        self.settings: dict[str, Any] = {
            "encode": encode,
            "streams": streams,
            "seed": seed,
            "row": row,
            "max_faults": max_faults,
        }
        given = {int(number): position for number, position in (state or {}).items()}  # JSON's keys are strings
        self.numbers = range(rank, streams, ranks)
        self.state = {number: given[number] for number in self.numbers if number in given}
        missing = [number for number in self.numbers if number not in given]
        if missing and any(position["rows"] > 1 for position in given.values()):
            raise SeedxError(
                f"the checkpoint says nothing of the streams {missing}, which would start anew: give the states of all "
                "ranks together"
            )
        self.faults = Faults()

    def __iter__(self) -> Iterator[Row]:
        self.faults = Faults()
        for item in DataLoader(
            _Rows(self._streams()),
            batch_size=None,
            num_workers=self.workers,
            collate_fn=_as_it_is,
            worker_init_fn=left_to_parent,
            prefetch_factor=self.prefetch,
        ):
            if isinstance(item, bytes):
                item = pickle.loads(item)
            if isinstance(item, (ValueError, OSError)):
                raise item
            if item is None:
                continue
            number, row, self.state[number], faults = item
            self.faults.merge(faults)
            if row is not None:
                row.faults, self.faults = self.faults, Faults()
                yield row

    def _streams(self) -> list[Stream]:
        """From the one whose turn it is. (One that had ended has fewer rows, and ends again without one.)"""

        def turn(number: int) -> tuple[int, int]:
            return self.state.get(number, {"rows": 0})["rows"], number

        return [
            Stream(self.sources, number=number, state=self.state.get(number), **self.settings)
            for number in sorted(self.numbers, key=turn)
        ]


class _Rows(IterableDataset[Any]):
    """In a worker: its streams' rows in turns, each with its stream's number, the state after it and its faults.

    A stream that has ended gives the same without a row once, then None in its turns, so that the turns of the others
    stay what they are. An error of the data is handed over: DataLoader would bury its message in a traceback.
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
                        yield stream.number, row, row.state, row.faults
                    elif rows.pop(stream.number, None) is not None:
                        yield stream.number, None, stream.state, stream.faults
                    else:
                        yield None
        except (ValueError, OSError) as error:
            yield error


class _Pickler(pickle.Pickler):
    """Writes tensors as what they hold. (Torch's way from process to process is a file of shared memory for each, which
    is asked for over a connection: of a row's eight small tensors that takes longer than all else.)"""

    def reducer_override(self, value: Any) -> Any:
        return (torch.from_numpy, (value.numpy(),)) if isinstance(value, Tensor) else NotImplemented


def _packed(item: Item) -> bytes:
    file = io.BytesIO()
    _Pickler(file, protocol=5).dump(item)
    return file.getvalue()


def left_to_parent(worker: int) -> None:
    """For worker processes: Ctrl-C and SIGTERM to a whole group are the training process's to answer.

    So a worker leaves the group. It does not ignore signals: SIGTERM is how Python ends it with its parent.
    """
    os.setpgrp()


def _as_it_is(item: Any) -> Any:
    """DataLoader's own way would turn the tuples of a state into lists, and numbers into tensors."""
    return item
