"""A stream of packed rows from the mixture, whose state resumes it exactly.

    shard readers of the sources -> one of them by weight -> sample -> messages -> encoded -> waiting -> packed rows

Training data is a fixed number of such streams. Each has its own units of every source, its own random choices and its
own waiting documents, so that rows do not depend on which process makes them (see `loader`).

The state comes with every row. It holds positions and counters, and of the waiting documents only where they were read
and how long they are: they are read again when their row is packed.

    {"streams": 16, "rows": 40, "draws": 130, "sources": {name: a shard reader's state, null once it is used up},
     "waiting": [[source, place, tokens], ...]}
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from seedx.batch import Encoded, concatenate
from seedx.data.boundary import try_sample
from seedx.data.packing import fill
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError, SampleErrors
from seedx.data.shard_reader import Place, ShardReader, Source
from seedx.deprecated import rename_keys
from seedx.errors import SeedxError
from seedx.messages import Message

MIN_WAITING = 16  # documents that a row is packed from at least, and twice its tokens
MAX_FAILURES = 1000  # consecutive samples of a source without a document, before the run stops
START = {"rows": 0, "draws": 0, "sources": {}, "waiting": []}

Encode = Callable[[list[Message]], Encoded | None]


@dataclass
class Row:
    """Documents packed into one row, and the state of the stream after it.

    Attributes:
        keys: where each document came from.
        names: of the data set that each document came from, as `Data.name`.
        sample_errors: of the samples that were read for it, with those used.
        state: JSON-able; resumes the stream after this row.
    """

    encoded: Encoded
    keys: list[str]
    names: list[str]
    sample_errors: SampleErrors
    state: dict[str, Any]

    @property
    def documents(self) -> int:
        return len(self.keys)


@dataclass(eq=False)
class _Waiting:
    """A document that is not packed yet. In a resumed stream it is loaded when it is packed."""

    source: str
    place: Place
    tokens: int
    where: str = ""
    encoded: Encoded | None = None


class Stream:
    """Iterate over it for its rows; `sample_errors` then holds those after the last row.

    Args:
        number: which stream of `streams` this is.
        row: tokens of a row at most.
        encode: gives None for what is too long; see `try_sample` for its errors.
        state: that of a row of this stream.
        max_sample_errors: the largest rate of bad samples among those that are read for one row.

    Raises:
        SeedxError: the state is of other data, a source gives no documents, or too many samples are bad.
        OSError: a file of a source is gone.
        MemoryError: what no bad sample explains.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        encode: Encode,
        *,
        number: int,
        streams: int,
        seed: int,
        row: int,
        state: dict[str, Any] | None = None,
        max_sample_errors: float = 1.0,
    ) -> None:
        state = rename_keys("stream state", state or START | {"streams": streams})
        if state["streams"] != streams:
            raise SeedxError(
                f"the checkpoint was made with {state['streams']} streams, not {streams}: "
                f"resume with streams = {state['streams']}"
            )
        self.number, self.streams, self.seed, self.row, self.encode = number, streams, seed, row, encode
        self.rows, self.draws, self.max_sample_errors = int(state["rows"]), int(state["draws"]), max_sample_errors
        known = state["sources"]
        self.readers = {s.name: ShardReader(s, number, streams, seed, known.get(s.name)) for s in sources}
        self.live = [name for name in self.readers if known.get(name, {}) is not None]
        names = list(known)
        self.waiting = [
            _Waiting(names[source], Place(*place), tokens)
            for source, place, tokens in state["waiting"]
            if names[source] in self.readers
        ]
        self.sample_errors = SampleErrors()

    def __iter__(self) -> Iterator[Row]:
        while self._fill_waiting():
            chosen = [self.waiting[i] for i in fill([min(w.tokens, self.row) for w in self.waiting], self.row)]
            self.waiting = [w for w in self.waiting if w not in chosen]
            chosen = [w for w in chosen if w.encoded is not None or self._load(w)]
            if not chosen:
                continue
            self.rows += 1
            errors, self.sample_errors = self.sample_errors, SampleErrors()
            packed = concatenate([w.encoded for w in chosen if w.encoded is not None])
            names = [self.readers[w.source].source.data.name for w in chosen]
            yield Row(packed, [w.where for w in chosen], names, errors, self.state)

    @property
    def state(self) -> dict[str, Any]:
        names = list(self.readers)
        return {
            "streams": self.streams,
            "rows": self.rows,
            "draws": self.draws,
            "sources": {name: reader.state if name in self.live else None for name, reader in self.readers.items()},
            "waiting": [[names.index(w.source), list(w.place), w.tokens] for w in self.waiting],
        }

    def _fill_waiting(self) -> bool:
        """Read until enough documents wait. False: none waits and every source is used up."""
        while self.live and (len(self.waiting) < MIN_WAITING or sum(w.tokens for w in self.waiting) < 2 * self.row):
            weights = [self.readers[name].source.data.weight for name in self.live]
            draw = random.Random(f"{self.seed} {self.number} {self.draws}")
            name = draw.choices(self.live, weights)[0]
            self.draws += 1
            document = self._document(name)
            if document is None:
                self.live.remove(name)
            else:
                self.waiting.append(document)
        return bool(self.waiting)

    def _document(self, name: str) -> _Waiting | None:
        """The next good document of a source, so that its weight holds for documents. None: it is used up."""
        reader = self.readers[name]
        for _ in range(MAX_FAILURES):
            sample = reader.next()
            if sample is None:
                return None
            place, item = sample
            encoded = self._encoded(reader, place, item)
            if not isinstance(encoded, SampleError):
                self.sample_errors.used += 1
                if encoded.truncated:
                    self.sample_errors.add(SampleError("truncated", item.where, f"to a row of {self.row} tokens"))
                return _Waiting(name, place, len(encoded), item.where, encoded)
            self.sample_errors.add(encoded)
            self.sample_errors.check(self.max_sample_errors)
        latest = "; ".join(f"{cause}: {texts[-1]}" for cause, texts in self.sample_errors.examples.items())
        raise SeedxError(
            f"{name} gave no document in {MAX_FAILURES} samples: repair it or take it out of the data. {latest}"
        )

    def _encoded(self, reader: ShardReader, place: Place, item: Record | SampleError) -> Encoded | SampleError:
        if isinstance(item, SampleError):
            return item
        encoded = try_sample(item.where, lambda: self.encode(reader.messages(item, place)))
        if isinstance(encoded, SampleError):
            return encoded
        if encoded is None or len(encoded) > self.row:
            return SampleError("too long", item.where, f"for a row of {self.row} tokens")
        return encoded

    def _load(self, waiting: _Waiting) -> bool:
        """Read a resumed stream's document again. False: it has changed, which is a sample error."""
        reader = self.readers[waiting.source]
        item = reader.read_again(waiting.place)
        encoded = self._encoded(reader, waiting.place, item)
        if not isinstance(encoded, SampleError) and len(encoded) != waiting.tokens:
            then_and_now = f"{waiting.tokens} tokens when the checkpoint was made, now {len(encoded)}"
            encoded = SampleError("changed", item.where, then_and_now)
        if isinstance(encoded, SampleError):
            self.sample_errors.add(encoded)
            return False
        waiting.where, waiting.encoded = item.where, encoded
        return True
