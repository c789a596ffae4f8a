"""A stream of rows, mixed from several sources, that can stop anywhere and go on exactly there.

    shares of the sources -> one of them by weight -> sample -> messages -> encoded -> waiting -> packed rows

Training data is a fixed number of such streams. Each has its own units of every source, its own random choices and its
own waiting documents, so that rows do not depend on which process makes them (see `loader`).

The state rides on every row. It holds positions and counters, and of the waiting documents only where they were read
and how long they are: they are read again when their row comes.

    {"of": 16, "rows": 40, "draws": 130, "sources": {name: a share's}, "waiting": [[source, place, tokens], ...]}
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from seedx.batch import Encoded, concatenate
from seedx.data.packing import fill
from seedx.data.record import Record
from seedx.data.sample_errors import Fault, Faults
from seedx.data.shard_reader import Place, Share, Source
from seedx.errors import SeedxError
from seedx.images import ImageError
from seedx.messages import Message

WAITING = 16  # documents that a row is chosen from at least, and twice its tokens
PATIENCE = 1000  # samples in a row without a document from a source, before it is given up

Encode = Callable[[list[Message]], Encoded | None]


@dataclass
class Row:
    """Documents packed into one row, and where the stream is after it.

    Attributes:
        keys: where each document came from.
        faults: what was read for the rows since the last one, good and bad.
        state: JSON-able; gives the rest of the stream.
    """

    encoded: Encoded
    keys: list[str]
    faults: Faults
    state: dict[str, Any]

    @property
    def documents(self) -> int:
        return len(self.keys)


@dataclass(eq=False)
class _Waiting:
    """A document that has no row yet. One of a resumed stream is not loaded yet."""

    source: str
    place: Place
    tokens: int
    where: str = ""
    encoded: Encoded | None = None


class Stream:
    """Iterate over it for its rows; `faults` then holds those since the last row.

    Args:
        number: which stream of `streams` this is.
        row: tokens of a row at most.
        encode: gives None for what is too long; a ValueError or OSError counts as a fault of the sample.
        state: that of a row of this stream.
        max_faults: share of bad samples that are too many, of those that were read for one row.

    Raises:
        SeedxError: the state is of other data, a source gives nothing, or too much of it is bad.
        OSError: a file of a source is gone.
        RuntimeError: something nobody foresaw, with the sample's name.
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
        max_faults: float = 1.0,
    ) -> None:
        state = state or {"of": streams, "rows": 0, "draws": 0, "sources": {}, "waiting": []}
        if state["of"] != streams:
            raise SeedxError(
                f"the checkpoint was made with {state['of']} streams, not {streams}: go on with streams = {state['of']}"
            )
        self.number, self.streams, self.seed, self.row, self.encode = number, streams, seed, row, encode
        self.rows, self.draws, self.max_faults = int(state["rows"]), int(state["draws"]), max_faults
        known = state["sources"]
        self.shares = {s.name: Share(s, number, streams, seed, known.get(s.name)) for s in sources}
        self.live = [name for name in self.shares if known.get(name, {}) is not None]
        names = list(known)
        self.waiting = [
            _Waiting(names[source], Place(*place), tokens)
            for source, place, tokens in state["waiting"]
            if names[source] in self.shares
        ]
        self.faults = Faults()

    def __iter__(self) -> Iterator[Row]:
        while self._wait():
            chosen = [self.waiting[i] for i in fill([min(w.tokens, self.row) for w in self.waiting], self.row)]
            self.waiting = [w for w in self.waiting if w not in chosen]
            chosen = [w for w in chosen if w.encoded is not None or self._load(w)]
            if not chosen:
                continue
            self.rows += 1
            faults, self.faults = self.faults, Faults()
            packed = concatenate([w.encoded for w in chosen if w.encoded is not None])
            yield Row(packed, [w.where for w in chosen], faults, self.state)

    @property
    def state(self) -> dict[str, Any]:
        names = list(self.shares)
        return {
            "of": self.streams,
            "rows": self.rows,
            "draws": self.draws,
            "sources": {name: share.state if name in self.live else None for name, share in self.shares.items()},
            "waiting": [[names.index(w.source), list(w.place), w.tokens] for w in self.waiting],
        }

    def _wait(self) -> bool:
        """Read until enough documents wait. False: nothing waits, all is used up."""
        while self.live and (len(self.waiting) < WAITING or sum(w.tokens for w in self.waiting) < 2 * self.row):
            weights = [self.shares[name].source.data.weight for name in self.live]
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
        share = self.shares[name]
        for _ in range(PATIENCE):
            sample = share.take()
            if sample is None:
                return None
            place, item = sample
            encoded = self._encoded(share, place, item)
            if not isinstance(encoded, Fault):
                self.faults.good += 1
                if encoded.cut:
                    self.faults.add(Fault("cut", item.where, f"to a row of {self.row} tokens"))
                return _Waiting(name, place, len(encoded), item.where, encoded)
            self.faults.add(encoded)
            self.faults.check(self.max_faults)
        last = "; ".join(f"{cause}: {where[-1]}" for cause, where in self.faults.last.items())
        raise SeedxError(f"{name} gave no document in {PATIENCE} samples: mend it or take it out of the data. {last}")

    def _encoded(self, share: Share, place: Place, item: Record | Fault) -> Encoded | Fault:
        """What is wrong with a sample is a fault of it; what nobody foresaw is raised with the sample's name."""
        if isinstance(item, Fault):
            return item
        try:
            messages = share.messages(item, place)
            encoded = self.encode(messages)
        except Fault as fault:
            return fault
        except ImageError as error:
            missing = isinstance(error.__cause__, FileNotFoundError)
            return Fault("missing file" if missing else "broken image", item.where, str(error))
        except OSError as error:
            return Fault("broken image", item.where, str(error))
        except ValueError as error:
            return Fault("bad format", item.where, str(error))
        except Exception as error:
            raise RuntimeError(f"{item.where}: {type(error).__name__}: {error}") from error
        if encoded is None or len(encoded) > self.row:
            return Fault("too long", item.where, f"for a row of {self.row} tokens")
        return encoded

    def _load(self, waiting: _Waiting) -> bool:
        """Read a resumed stream's document again. False: it is not what it was, which is counted."""
        share = self.shares[waiting.source]
        item = share.read_again(waiting.place)
        encoded = self._encoded(share, waiting.place, item)
        if not isinstance(encoded, Fault) and len(encoded) != waiting.tokens:
            then_and_now = f"{waiting.tokens} tokens when the checkpoint was made, now {len(encoded)}"
            encoded = Fault("changed", item.where, then_and_now)
        if isinstance(encoded, Fault):
            self.faults.add(encoded)
            return False
        waiting.where, waiting.encoded = item.where, encoded
        return True
