"""A look at training data before any training: what is read of each source, what is wrong, how long the samples are.

Samples are read as a run reads them, by the same readers, formats and prompt, the same number of each source. Nothing
is packed, and no model is loaded.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import PIL.Image

from seedx.batch import Encoded
from seedx.config import Config
from seedx.data.boundary import try_sample
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError, SampleErrors
from seedx.data.shard_reader import Data, ShardReader, Source, open_mixture, shares
from seedx.images import TRAINING_MAX_PIXELS, open_image
from seedx.messages import Message, map_images
from seedx.prompt import encode, tile_counts
from seedx.tokenizer import Tokenizer

SHOWN = 12  # samples of a page
LARGEST = 384  # pixels of the longer side of a picture that is kept to be shown


class Sample(NamedTuple):
    """One that is shown: its messages with small copies of their pictures, and its tokens."""

    where: str
    messages: list[Message[PIL.Image.Image]]
    encoded: Encoded


@dataclass
class SourceCheck:
    """What was read of one source.

    Attributes:
        name: the source and its format.
        share: of the documents in training, 0 to 1.
        errors: samples used, and the others by cause. What is longer than a row counts as "too long", or "truncated".
        lengths: tokens of each sample that could be encoded, however long.
        over: of these, those longer than a row.
        tiles: of each picture that is read, the thumbnail included.
        drawn: pictures that are drawn.
        supervised: tokens with a label, in all samples.
        samples: the first ones, to be shown.
    """

    name: str
    share: float
    errors: SampleErrors = field(default_factory=SampleErrors)
    lengths: list[int] = field(default_factory=list)
    over: int = 0
    tiles: list[int] = field(default_factory=list)
    drawn: int = 0
    supervised: int = 0
    samples: list[Sample] = field(default_factory=list)

    @property
    def read(self) -> int:
        """Samples, those with errors included."""
        return self.errors.used + sum(count for cause, count in self.errors.counts.items() if cause != "truncated")

    def to_json(self) -> dict[str, Any]:
        return {
            "source": self.name,
            "share": self.share,
            "read": self.read,
            "used": self.errors.used,
            "errors": self.errors.counts,
            "examples": {cause: texts[-1] for cause, texts in self.errors.examples.items()},
            "tokens": {"median": quantile(self.lengths, 0.5), "95 %": quantile(self.lengths, 0.95)}
            | {"longest": max(self.lengths, default=0), "over_max_seq_len": self.over},
            "supervised": self.supervised,
            "pictures_read": len(self.tiles),
            "tiles_per_picture": sum(self.tiles) / max(1, len(self.tiles)),
            "pictures_drawn": self.drawn,
        }


@dataclass(frozen=True)
class Check:
    """How samples are looked at.

    Attributes:
        length: tokens of a row; None: nothing is too long.
        too_long: what training does with a longer sample, "drop" or "truncate".
    """

    tokenizer: Tokenizer
    config: Config
    length: int | None = None
    too_long: str = "drop"
    max_pixels: int = TRAINING_MAX_PIXELS
    seed: int = 0
    run: str = ""

    def __call__(self, mixture: Sequence[Data], samples: int) -> list[SourceCheck]:
        """Read about so many samples together, as many of each source, and none twice.

        Raises:
            SeedxError: as `open_mixture`, or a source without any sample.
            OSError: a file of a source is gone.
        """
        sources = open_mixture(mixture, 1, self.run)
        each, kept = math.ceil(samples / len(sources)), 2 * math.ceil(SHOWN / len(sources)) + 1
        return [self._source(source, share, each, kept) for source, share in zip(sources, shares(mixture), strict=True)]

    def _source(self, source: Source, share: float, samples: int, kept: int) -> SourceCheck:
        found = SourceCheck(source.name, share)
        reader = ShardReader(source, 0, 1, self.seed, None)
        for place, item in itertools.takewhile(lambda step: step[0].epoch == 0, iter(reader.next, None)):
            if isinstance(item, Record):
                self._count(found, item, reader.messages, place, kept)
            else:
                found.errors.add(item)
            if found.read >= samples:
                break
        return found

    def _count(self, found: SourceCheck, record: Record, messages: Any, place: Any, kept: int) -> None:
        made = try_sample(record.where, lambda: self._sample(record.where, messages(record, place)))
        if isinstance(made, SampleError):
            found.errors.add(made)
            return
        sample, tiles = made
        found.lengths.append(len(sample.encoded))
        found.tiles += [tiles[i] for i in sample.encoded.reads]
        found.drawn += len(sample.encoded.draws)
        found.supervised += int((sample.encoded.labels >= 0).sum())
        if self.length is not None and len(sample.encoded) > self.length:
            found.over += 1
            truncated = self.too_long == "truncate"
            found.errors.used += truncated
            detail = f"{len(sample.encoded)} tokens, for a row of {self.length}"
            found.errors.add(SampleError("truncated" if truncated else "too long", record.where, detail))
        else:
            found.errors.used += 1
        if len(found.samples) < kept:
            found.samples.append(sample)

    def _sample(self, where: str, messages: list[Message]) -> tuple[Sample, list[int]]:
        opened = map_images(messages, lambda picture: open_image(picture, max_pixels=self.max_pixels))
        tiles = tile_counts(opened, self.config)
        encoded = encode(opened, self.tokenizer, self.config, tiles=tiles, max_length=sys.maxsize)
        assert encoded is not None  # nothing is too long
        return Sample(where, map_images(opened, _small), encoded), tiles


def chosen(checks: Sequence[SourceCheck]) -> list[tuple[SourceCheck, Sample]]:
    """The samples to show: one of each source in turn, the source with the largest share first."""
    ordered = sorted(checks, key=lambda check: -check.share)
    turns = itertools.zip_longest(*([(check, sample) for sample in check.samples] for check in ordered))
    return [one for turn in turns for one in turn if one is not None][:SHOWN]


def quantile(values: Iterable[int], part: float) -> int:
    """The smallest value that this part of the values does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)] if ordered else 0


def _small(picture: PIL.Image.Image) -> PIL.Image.Image:
    copy = picture.copy()
    copy.thumbnail((LARGEST, LARGEST))
    return copy
