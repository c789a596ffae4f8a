"""Sources of samples: a source is a string, which opens as units that are read alone and resumed exactly.

    shards/{000..127}.tar       tar shards in WebDataset's layout          (tar.py)
    edits/*.jsonl               JSONL with files beside it                 (jsonl.py)
    viton-hd/train_pairs.txt    lines of plain text                        (jsonl.py)
    llava_v1_5_mix665k.json     one JSON array, read piece by piece        (json_array.py)
    instances_train2017.json    tables in one JSON object, joined          (json_tables.py)
    s3://bucket/part-*.parquet  Parquet with pictures inside               (parquet.py)
    stickers:boxes              generated as it is read, by the entry point "stickers" of the group seedx.sources
    package.module.function:x   the same, by a function named in full

Opening reads no file, except to split it where there are fewer files than parts wanted; so its cost does not depend on
what the shards hold (benchmarks/sources.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from seedx import plugins
from seedx.data import json_array, jsonl, parquet, storage, tar
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError
from seedx.errors import SeedxError

Position = Any  # JSON-able; None is the start


class Unit(Protocol):
    """A piece of a source that is read alone: a file, or a part of one. It can be pickled."""

    @property
    def name(self) -> str:
        """Its own among the units of a source, and the same in every run."""

    def read(self, position: Position = None) -> Iterator[tuple[Position, Record | SampleError]]:
        """What it holds from `position` on, each item with the position after it.

        Reading costs the same from any position. An item that can't be read is a SampleError, which the reader counts;
        a file that can't be read any further ends with one.

        Raises:
            OSError: the file is gone or its store does not answer: not a bad sample, so nothing is skipped.
        """


_FILES: dict[str, tuple[Callable[[str, str], Unit], Callable[[str, int], list[Any]]]] = {
    "tar": (tar.TarShard, tar.split),
    "jsonl": (jsonl.JsonLines, jsonl.split),
    "txt": (jsonl.TextLines, jsonl.split_text),
    "json": (json_array.JsonArray, json_array.whole),
    "parquet": (parquet.ParquetRows, parquet.split),
}


def open_source(source: str, parts: int = 1, run: str = "") -> list[Unit]:
    """The units of a source, always in the same order.

    Args:
        source: a path or URL, with brace lists and globs, whose files all end in .tar, .jsonl, .txt, .json or
            .parquet; or `scheme:rest`, where `function(rest, parts, run)` of the entry point `scheme` gives the units.
        parts: units that are wanted. Fewer files are sub-split into that many or more, if they have as many samples.
            A part may turn out to hold no sample.
        run: name and seed of the run, which seed a source that generates its samples.

    Raises:
        SeedxError: no such file, or an ending that nothing reads.
    """
    scheme, colon, rest = source.partition(":")
    if colon and (function := _function(scheme)):
        return function(rest, parts, run)
    paths = storage.expand(source)
    each = -(-parts // len(paths))
    units: list[Unit] = []
    for path in paths:
        whole, split = _reader(path)
        units.extend([whole(path, path)] if each == 1 else split(path, each))
    return units


def fingerprints(sources: Sequence[str]) -> dict[str, list[int]]:
    """Size and modification time (ns) of every local file of these sources, by its path.

    Raises:
        SeedxError: as `open_source`.
    """
    found: dict[str, list[int]] = {}
    for source in sources:
        scheme, colon, _ = source.partition(":")
        if colon and _function(scheme):
            continue
        for path in storage.expand(source):
            if not storage.remote(path):
                about = os.stat(path)
                found[path] = [about.st_size, about.st_mtime_ns]
    return found


def _function(scheme: str) -> Callable[[str, int, str], list[Unit]] | None:
    """The function that opens `scheme:rest`; None if that is a path or a URL."""
    found: Callable[[str, int, str], list[Unit]] | None
    found = plugins.named(scheme) if "." in scheme and "/" not in scheme else plugins.find("seedx.sources", scheme)
    return found


def _reader(path: str) -> tuple[Callable[[str, str], Unit], Callable[[str, int], list[Any]]]:
    ending = path.rpartition(".")[2].lower()
    if ending in _FILES:
        return _FILES[ending]
    known = ", ".join(f".{name}" for name in _FILES)
    schemes = "".join(f", or {name}:..." for name in plugins.names("seedx.sources"))
    if path.endswith((".tar.gz", ".tgz")):
        hint = "a compressed tar can't be resumed: unpack it (gunzip), pictures are compressed already"
    else:
        hint = f"of a folder, name the files, as in {path.rstrip('/')}/*.tar"
    raise SeedxError(f"the source {path!r} does not end in {known}{schemes}: {hint}")
