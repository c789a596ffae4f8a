"""Files that do not lie here, by fsspec's file system in memory and one that fails."""

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem
from shards import items, number, write_jsonl, write_parquet, write_tar

from seedx.data import storage
from seedx.data.sample_errors import SampleError
from seedx.data.sources import open_source


@pytest.fixture
def bucket(tmp_path):
    """Four small shards in memory."""
    write_tar(tmp_path / "0.tar", 20)
    write_tar(tmp_path / "1.tar", 20)
    write_jsonl(tmp_path / "0.jsonl", 20)
    write_parquet(tmp_path / "0.parquet", 20, group=6)
    files = fsspec.filesystem("memory")
    files.put(f"{tmp_path}/*", "/bucket/")
    yield "memory://bucket"
    files.rm("/bucket", recursive=True)


@pytest.mark.parametrize("parts", [1, 5])
@pytest.mark.parametrize(("name", "shards"), [("{0..1}.tar", 2), ("*.tar", 2), ("0.jsonl", 1), ("0.parquet", 1)])
def test_remote_sources_are_read_like_local_ones(bucket, name, shards, parts):
    assert [number(item) for item in items(open_source(f"{bucket}/{name}", parts))] == [*range(20)] * shards


def test_a_url_may_be_local(tmp_path):
    write_tar(tmp_path / "0.tar", 20)
    assert [number(item) for item in items(open_source(f"file://{tmp_path}/*.tar", 3))] == list(range(20))


def test_urls_may_be_chained(bucket, tmp_path):
    chained = f"simplecache::{bucket}/*.tar"
    assert [unit.name for unit in open_source(chained)] == [f"simplecache::memory:///bucket/{i}.tar" for i in (0, 1)]
    assert len(items(open_source(chained))) == 40


def test_pictures_beside_a_remote_file_are_fetched(bucket):
    fsspec.filesystem("memory").pipe("/bucket/pictures/a.png", b"pixels")
    record = items(open_source(f"{bucket}/0.jsonl"))[0]
    assert record.image("pictures/a.png") == record.image("memory://bucket/pictures/a.png") == b"pixels"
    with pytest.raises(SampleError, match="missing file"):
        record.image("pictures/b.png")


@pytest.fixture
def waits(monkeypatch):
    waited = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


def test_a_failed_read_is_retried_from_where_it_stopped(bucket, waits, monkeypatch):
    read, calls = MemoryFile.read, []

    def flaky(self, *arguments):
        calls.append(1)
        if len(calls) % 3:  # two of three
            raise TimeoutError("slow")
        return read(self, *arguments)

    monkeypatch.setattr(storage, "BUFFER", 700)
    monkeypatch.setattr(MemoryFile, "read", flaky)
    assert [number(item) for item in items(open_source(f"{bucket}/0.tar"))] == list(range(20))
    assert waits[:4] == [1, 2, 1, 2]


@pytest.mark.parametrize("name", ["0.tar", "0.jsonl", "0.parquet"])
def test_a_store_that_never_answers_is_an_error_and_no_sample_error(bucket, waits, monkeypatch, name):
    def away(*arguments, **options):
        raise ConnectionError("away")

    monkeypatch.setattr(MemoryFile, "read", away)
    with pytest.raises(OSError, match=f"{name} can't be read, tried {storage.TRIES} times: away"):
        items(open_source(f"{bucket}/{name}"))
    assert waits == [1, 2, 4]


def test_a_missing_file_is_not_retried(bucket, waits):
    with pytest.raises(FileNotFoundError):
        items(open_source(f"{bucket}/9.tar"))
    assert waits == []


def test_opening_is_retried_too(bucket, waits, monkeypatch):
    opened, calls = MemoryFileSystem._open, []

    def flaky(self, *arguments, **options):
        calls.append(1)
        if len(calls) == 1:
            raise ConnectionError("reset")
        return opened(self, *arguments, **options)

    monkeypatch.setattr(MemoryFileSystem, "_open", flaky)
    assert len(items(open_source(f"{bucket}/0.jsonl"))) == 20 and waits == [1]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("a{0..99999999}.tar", "names over 1,000,000 files"),
        ("a{0..9999}{0..9999}.tar", "names over 1,000,000 files"),
        ("a{0..9999999999999999999999}.tar", "is neither a list"),
        ("/**/*.tar", "would search the whole file system"),
        ("/", "does not end in .tar"),
        ("/*", "does not end in .tar"),
        ("", "does not exist"),
    ],
)
def test_sources_of_too_many_files_are_refused_at_once(source, problem):
    with pytest.raises(ValueError, match=problem):
        open_source(source)


def test_braces_may_be_nested(tmp_path):
    for name in ("a1", "a2", "b"):
        (tmp_path / name).touch()
    assert storage.expand(f"{tmp_path}/{{a{{1..2}},b}}") == [
        str(tmp_path / name) for name in ("a1", "b", "a2")
    ]  # inner ones first
