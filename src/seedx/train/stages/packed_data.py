"""Base of the stages that train on packed rows of a recipe's `[[data]]`."""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from typing import Any, TypeVar

import torch
from PIL import Image

from seedx.data.loader import Loader
from seedx.data.sample_errors import SampleErrors
from seedx.data.shard_reader import shares
from seedx.data.stream import Encode, Row
from seedx.errors import SeedxError
from seedx.train.engine.components import Origin
from seedx.train.recipe import Recipe
from seedx.train.stages import by_source
from seedx.train.stages.base import Step

T = TypeVar("T")
DESCRIBED = 300  # samples that a dry run reads


class PackedDataStage:
    """A subclass has `recipe`, `encode`, `max_seq_len` (tokens of a row) and `batch_of`."""

    recipe: Recipe
    encode: Encode
    max_seq_len: int

    @functools.cached_property
    def sources(self) -> list[str]:
        """The names of the data sets, by their numbers in a batch."""
        return by_source.names(self.recipe)

    def batch_of(self, rows: Sequence[Row], seeds: Sequence[str]) -> Any:
        """Collate rows into a micro-batch; each row has a seed of its own in the run, for random choices about it."""
        raise NotImplementedError

    def batches(self, step: int, state: Any, rank: int, ranks: int) -> Iterator[Step]:
        """Row i of a rank is row i * ranks + rank of the global batch, which is the same for any number of ranks."""
        steps = self._steps(step, state, rank, ranks)
        return prefetched(steps) if self.recipe.workers else steps

    def _steps(self, step: int, state: Any, rank: int, ranks: int) -> Iterator[Step]:
        loader = self.loader(rank, ranks, state)
        rows, each, size = iter(loader), self.recipe.global_batch_size // ranks, self.recipe.micro_rows(ranks)
        for number in count(step):
            own = list(islice(rows, each))
            if len(own) < each:
                return
            seeds = [f"{self.recipe.seed}/{number}/{i * ranks + rank}" for i in range(each)]
            micro = [self.batch_of(own[i : i + size], seeds[i : i + size]) for i in range(0, each, size)]
            yield Step(micro, dict(loader.state), [key for row in own for key in row.keys], _sample_errors(own))

    def validation_batches(self) -> list[Any]:
        """The micro-batches of the held-out data, the same on every rank and at every call."""
        wanted, size = self.recipe.validation, self.recipe.micro_batch_size or 1
        rows: list[Row] = []
        loader = Loader(
            wanted.data, self.encode, seed=0, row=self.max_seq_len, streams=1, run=f"{self.recipe.name}/validation"
        )
        for row in loader:
            rows.append(row)
            if sum(row.documents for row in rows) >= wanted.samples:
                break
        if not rows:
            raise SeedxError("validation.data gave no sample")
        seeds = [f"validation/{i}" for i in range(len(rows))]
        return [self.batch_of(rows[i : i + size], seeds[i : i + size]) for i in range(0, len(rows), size)]

    def loader(self, rank: int = 0, ranks: int = 1, state: Any = None) -> Loader:
        recipe = self.recipe
        return Loader(
            recipe.mixture,
            self.encode,
            seed=recipe.seed,
            row=self.max_seq_len,
            streams=recipe.streams,
            rank=rank,
            ranks=ranks,
            workers=recipe.workers,
            ahead=recipe.global_batch_size // ranks,
            state=state,
            max_sample_errors=recipe.max_sample_errors,
            run=f"{recipe.name}/{recipe.seed}",
        )

    def merge_states(self, states: list[Any]) -> dict[int, Any]:
        """The union: each rank has its own streams."""
        return {number: position for state in states for number, position in (state or {}).items()}

    def sample(self, step: int) -> list[Image.Image]:
        return []

    def origins(self) -> list[Origin]:
        return []

    def describe(self) -> list[str]:
        """The mixture, and statistics of the first samples."""
        mixture = self.recipe.mixture
        lines = [
            f"{share:6.1%}  {data.source} as {data.format}"
            for data, share in zip(mixture, shares(mixture), strict=True)
        ]
        rows: list[Row] = []
        for row in self.loader():
            rows.append(row)
            if sum(row.documents for row in rows) >= DESCRIBED:
                break
        return [*lines, *_statistics(rows, self.max_seq_len)]


def prefetched(items: Iterator[T]) -> Iterator[T]:
    """The same items, each fetched by a thread while the one before it is used. No item is None."""
    threads = torch.get_num_threads()  # bits depend on it, and each thread has its own setting
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def _sample_errors(rows: Sequence[Row]) -> SampleErrors:
    total = SampleErrors()
    for row in rows:
        total.merge(row.sample_errors)
    return total


def _statistics(rows: Sequence[Row], length: int) -> list[str]:
    errors = _sample_errors(rows)
    encoded = [row.encoded for row in rows]
    lengths = sorted(n for one in encoded for n in _documents(one.position_ids.tolist()))
    if not lengths:
        return ["no sample could be read"]
    causes = ", ".join(f"{number} {cause}" for cause, number in errors.counts.items())
    tokens, supervised = sum(lengths), sum(int((one.labels >= 0).sum()) for one in encoded)
    read = sum(len(one.tiles) for one in encoded if one.tiles is not None)
    drawn = sum(len(one.targets) for one in encoded if one.targets is not None)
    each = [total / len(lengths) for total in (tokens, read, drawn, supervised)]
    return [
        f"of {len(lengths)} documents: median {statistics.median(lengths):.0f} tokens, "
        f"nine in ten up to {lengths[math.ceil(0.9 * len(lengths)) - 1]}, the longest {lengths[-1]}",
        f"{len(lengths) / len(rows):.1f} documents in a row of {length}, {tokens / len(rows) / length:.1%} of it used",
        "a document, for `seedx plan`: --tokens {:.0f} --tiles {:.2f} --drawn {:.2f} --supervised {:.0f}".format(*each),
        f"samples left out, besides {errors.used} that are used: {causes or 'none'}",
    ]


def _documents(positions: Sequence[int]) -> Iterator[int]:
    """Lengths of the documents of a row: positions restart at 0 for each."""
    starts = [i for i, position in enumerate(positions) if position == 0]
    yield from (end - start for start, end in zip(starts, [*starts[1:], len(positions)], strict=True))
