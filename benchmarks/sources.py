"""What sources cost against the number of shards and of samples: it stays flat.

    python benchmarks/sources.py [--json] [--repeats 3] [--kinds tar jsonl parquet]

Tiny generated records, one process that reads as 16 streams do: 64 units open at once. Seconds are of CPU: the files
are local and in the cache, so nothing is waited for, and what else the machine does counts little.
    start_up   seconds to list the source, split it and read the first sample of each of these units
    resume     seconds to open them again in their middle and read one sample of each
    read       samples a second from the beginning of each to there, one after the other
    memory     what the process grew by at most in all of this, MB (Linux)
Shards from 1 to 1,000 with 100,000 samples in all, and one shard of 1,000 to 1,000,000 samples (1 GB of tar).
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import multiprocessing
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from seedx.data.sources import Unit, open_source

UNITS = 64
CHUNK = 100  # samples that are generated once and written again and again
CASES = (  # shards, samples
    *((shards, 100_000) for shards in (1, 10, 100, 1_000)),
    *((1, samples) for samples in (1_000, 10_000, 1_000_000)),
)
TEXT = "a dog beside a red car, in the evening"
LINE = (
    "{kind:8} {shards:5} shards {samples:9,} samples   start-up {start_up:6.3f} s   resume {resume:6.3f} s   "
    "{read:9,.0f} samples/s   {memory:6.1f} MB"
)


def write_tar(path: Path, chunks: int) -> None:
    chunk = io.BytesIO()
    with tarfile.open(fileobj=chunk, mode="w") as tar:
        for i in range(CHUNK):
            member = tarfile.TarInfo(f"{i:06d}.txt")
            member.size = len(TEXT)
            tar.addfile(member, io.BytesIO(TEXT.encode()))
        end = tar.offset
    _repeat(path, chunk.getvalue()[:end], chunks, bytes(2 * tarfile.BLOCKSIZE))


def write_jsonl(path: Path, chunks: int) -> None:
    _repeat(path, b"".join(json.dumps({"id": i, "text": TEXT}).encode() + b"\n" for i in range(CHUNK)), chunks)


def write_parquet(path: Path, chunks: int) -> None:
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    group = 10  # chunks: 1,000 rows, as Hugging Face writes columns of text; pictures come by 100
    rows = pyarrow.Table.from_pylist([{"id": i, "text": TEXT} for i in range(CHUNK)])
    with ParquetWriter(path, rows.schema) as writer:
        for first in range(0, chunks, group):
            writer.write_table(pyarrow.concat_tables([rows] * min(group, chunks - first)))


def _repeat(path: Path, chunk: bytes, times: int, end: bytes = b"") -> None:
    with path.open("wb") as file:
        for _ in range(times):
            file.write(chunk)
        file.write(end)


WRITERS: dict[str, Callable[[Path, int], None]] = {
    "tar": write_tar,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
}


def write(kind: str, folder: str, shards: int, samples: int) -> str:
    for shard in range(shards):
        WRITERS[kind](Path(folder) / f"{shard:04d}.{kind}", samples // shards // CHUNK)
    return f"{folder}/*.{kind}"


def first_items(units: list[Unit], positions: list[Any]) -> list[Any]:
    """The readers, left open, after one sample of each."""
    readers = [unit.read(position) for unit, position in zip(units, positions, strict=True)]
    for reader in readers:
        next(reader)
    return readers


def middles(units: list[Unit], samples: int) -> list[Any]:
    return [next(itertools.islice(unit.read(), samples // 2, None))[0] for unit in units]


def measure(kind: str, source: str, shards: int, samples: int, repeats: int) -> dict[str, Any]:
    if kind == "parquet":
        import pyarrow.parquet  # noqa: F401  what the import costs is not what is asked
    before = memory_now()
    start_up, resume = [], []
    for _ in range(repeats):
        start = time.process_time()
        units = open_source(source, UNITS)
        opened = first_items(units[:UNITS], [None] * len(units[:UNITS]))
        start_up.append(time.process_time() - start)
        del opened
    start = time.process_time()
    positions = middles(units[:UNITS], samples // len(units))
    reading = time.process_time() - start
    for _ in range(repeats):
        start = time.process_time()
        opened = first_items(units[:UNITS], positions)
        resume.append(time.process_time() - start)
        del opened
    return {
        "kind": kind,
        "shards": shards,
        "samples": samples,
        "units": len(units),
        "start_up": statistics.median(start_up),
        "resume": statistics.median(resume),
        "read": UNITS * (samples // len(units) // 2 + 1) / reading,
        "memory": memory_now(peak=True) - before,
    }


def memory_now(peak: bool = False) -> float:
    """MB of this process, of Linux alone; its peak since this was last asked without `peak`."""
    if not peak:
        Path("/proc/self/clear_refs").write_text("5")  # sets the peak to what is used now
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024 / 1e6


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """In a fresh process, whose memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=3, help="of each measurement, for the median")
    parser.add_argument("--kinds", nargs="+", choices=list(WRITERS), default=list(WRITERS))
    options = parser.parse_args()
    results = []
    for kind, (shards, samples) in itertools.product(options.kinds, CASES):
        with tempfile.TemporaryDirectory() as folder:
            source = apart(write, kind, folder, shards, samples)
            results.append(apart(measure, kind, source, shards, samples, options.repeats))
        if not options.json:
            print(LINE.format(**results[-1]), flush=True)
    if options.json:
        print(json.dumps({"units": UNITS, "results": results}, indent=1))


if __name__ == "__main__":
    main()
