"""What all kinds of sources promise: every sample once, in parts or whole, and resumed anywhere."""

import io
import json
import multiprocessing
import pickle
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from shards import items, number, write_jsonl, write_parquet, write_tar

from seedx import plugins
from seedx.data import tar
from seedx.data.record import Record
from seedx.data.sources import open_source

WRITERS = {
    "tar": lambda folder: write_tar(folder / "s.tar", 40),
    "jsonl": lambda folder: write_jsonl(folder / "s.jsonl", 40),
    "parquet": lambda folder: write_parquet(folder / "s.parquet", 40, group=8),
}


@pytest.fixture(params=WRITERS)
def source(request, tmp_path):
    return WRITERS[request.param](tmp_path)


@pytest.mark.parametrize("parts", [1, 2, 3, 5, 7, 16, 100])
def test_the_parts_hold_every_sample_once_and_in_order(source, parts):
    units = open_source(source, parts)
    assert [number(item) for item in items(units)] == list(range(40))
    assert len({unit.name for unit in units}) == len(units) <= parts
    assert len(units) >= min(parts, 5)


@pytest.mark.parametrize("parts", [1, 3])
def test_reading_resumes_after_any_item(source, parts):
    for unit in open_source(source, parts):
        whole = [(position, number(item), item.where) for position, item in unit.read()]
        for at, (position, _, _) in enumerate(whole):
            position = json.loads(json.dumps(position))  # as a checkpoint keeps it
            again = [(position, number(item), item.where) for position, item in unit.read(position)]
            assert again == whole[at + 1 :]


class Counted(io.FileIO):
    """A file that counts the bytes that are read from all of its kind."""

    total = 0

    def readinto(self, buffer):
        count = super().readinto(buffer)
        Counted.total += count
        return count


@pytest.mark.parametrize("parts", [1, 8])
@pytest.mark.parametrize(
    ("write", "name", "count", "most"),  # of 5 and 0.4 MB, and three times that
    [(write_tar, "s.tar", 300, tar.WINDOW + 20_000), (write_jsonl, "s.jsonl", 6000, 20_000)],
)
def test_opening_and_resuming_read_no_more_of_a_larger_file(tmp_path, monkeypatch, write, name, count, most, parts):
    monkeypatch.setattr("seedx.data.jsonl.COUNTED", 0)
    path = write(tmp_path / name, count)
    place = list(open_source(path, parts)[-1].read())[-5][0]
    monkeypatch.setattr("seedx.data.storage.open_file", lambda path: io.BufferedReader(Counted(path)))
    for larger in (False, True):
        if larger:  # the same file behind two of its kind, without their end marks
            content = Path(path).read_bytes()
            before = content.rstrip(b"\0") if name == "s.jsonl" else content[: content.rindex(b"}") // 512 * 512 + 512]
            Path(path).write_bytes(before * 2 + content)
            place = place + 2 * len(before) if isinstance(place, int) else [place[0] + 2 * len(before), None]
        Counted.total = 0
        unit = open_source(path, parts)[-1]
        _, item = next(unit.read(place))
        assert number(item) == count - 4 and 0 < Counted.total < most * parts


def test_units_are_the_same_in_every_process(source):
    units = open_source(source, 4)
    assert open_source(source, 4) == units == pickle.loads(pickle.dumps(units))


def read_by_a_worker(unit):
    return [number(item) for _, item in unit.read()]


def test_units_are_read_by_forked_workers_after_their_parent_read(source):
    units = open_source(source, 2)
    here = [read_by_a_worker(unit) for unit in units]
    with multiprocessing.get_context("fork").Pool(2) as workers:
        assert workers.map_async(read_by_a_worker, units).get(timeout=60) == here


def test_where_a_sample_is(tmp_path):
    where = {kind: items(open_source(write(tmp_path)))[3].where for kind, write in WRITERS.items()}
    assert where == {
        "tar": f"{tmp_path}/s.tar/000003",
        "jsonl": f"{tmp_path}/s.jsonl:4",
        "parquet": f"{tmp_path}/s.parquet:3",
    }


def test_brace_lists_and_globs_name_files_in_order(tmp_path):
    for name in ("a-08", "a-09", "a-10", "b-1", "b-2"):
        write_jsonl(tmp_path / f"{name}.jsonl", 1)

    def names(pattern):
        return [unit.name.removeprefix(f"{tmp_path}/") for unit in open_source(f"{tmp_path}/{pattern}")]

    assert names("a-{08..10}.jsonl") == ["a-08.jsonl", "a-09.jsonl", "a-10.jsonl"]
    assert names("{b-2,a-09}.jsonl") == ["b-2.jsonl", "a-09.jsonl"]
    assert names("b-{1..2}.jsonl") == ["b-1.jsonl", "b-2.jsonl"]
    assert names("{b,a}-*.jsonl") == ["b-1.jsonl", "b-2.jsonl", "a-08.jsonl", "a-09.jsonl", "a-10.jsonl"]


def test_a_name_with_the_signs_of_a_glob_is_a_name(tmp_path):
    write_jsonl(tmp_path / "odd[1].jsonl", 2)
    assert len(items(open_source(f"{tmp_path}/odd[1].jsonl"))) == 2


def test_only_as_many_files_as_needed_are_split(tmp_path):
    for i in range(3):
        write_jsonl(tmp_path / f"{i}.jsonl", 30)
    assert len(open_source(f"{tmp_path}/*.jsonl", 3)) == 3
    units = open_source(f"{tmp_path}/*.jsonl", 4)
    assert len(units) == 6 and [number(item) for item in items(units)] == [*range(30)] * 3


def test_opening_opens_nothing(tmp_path, monkeypatch):
    for i in range(3):
        (tmp_path / f"{i}.tar").touch()
    monkeypatch.setattr("seedx.data.storage.open_file", lambda path: pytest.fail(f"{path} is opened"))
    assert len(open_source(f"{tmp_path}/*.tar", 3)) == 3


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("none.tar", r"'none.tar' does not exist"),
        ("none-{0..2}.tar", r"'none-0.tar' does not exist, and 2 more"),
        ("none-*.tar", "no file has such a name"),
        ("{3..1}.tar", "counts down"),
        ("{a..b}.tar", "neither a list"),
        ("here.zip", r"does not end in .tar, .jsonl, .txt, .json, .parquet"),
        ("here.tar.gz", "unpack it"),
        (".", r"name the files, as in ./\*.tar"),
    ],
)
def test_an_invalid_source_is_an_error_that_explains_it(source, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.zip").touch()
    (tmp_path / "here.tar.gz").touch()
    with pytest.raises(ValueError, match=message):
        open_source(source)


def test_a_missing_shard_is_an_error(source, tmp_path):
    unit = open_source(source)[0]
    next(tmp_path.iterdir()).unlink()
    with pytest.raises(FileNotFoundError, match=r"s\."):
        list(unit.read())


class Numbers:
    name = "numbers"

    def __init__(self, count):
        self.count = count

    def read(self, position=None):
        for i in range(position or 0, self.count):
            yield i + 1, Record(f"numbers:{i}", {"number": i})


def made_up(rest, parts, run):
    return [Numbers(int(rest) + len(run)) for _ in range(parts)]


@pytest.mark.parametrize("scheme", ["numbers", f"{__name__}.made_up"])
def test_a_source_of_another_package(scheme, monkeypatch):
    listed = EntryPoint("numbers", f"{__name__}:made_up", "seedx.sources")
    monkeypatch.setattr(plugins, "_entries", lambda group: {"numbers": listed})
    assert [number(item) for item in items(open_source(f"{scheme}:2", 2, run="a"))] == [0, 1, 2, 0, 1, 2]
    with pytest.raises(ValueError, match=r"or numbers:\.\.\."):
        open_source(__file__)
