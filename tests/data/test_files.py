"""JSONL and Parquet: their own rules, and the ways in which they break."""

import subprocess
import sys

import pyarrow
import pyarrow.parquet
import pytest
from shards import items, number, write_jsonl, write_parquet

from seedx.data import jsonl, parquet, storage
from seedx.data.boundary import try_sample
from seedx.data.sample_errors import SampleError
from seedx.data.sources import open_source
from seedx.errors import MissingPackageError


@pytest.mark.parametrize("parts", [1, 4])
def test_broken_lines_are_sample_errors_and_blank_ones_nothing(tmp_path, parts):
    path = tmp_path / "s.jsonl"
    path.write_bytes(b'{"number": 1}\n\n{"number": \n[1, 2]\n\xff\xfe\n  \n' + b"[" * 100_000 + b'\n{"number": 2}')
    found = items(open_source(str(path), parts))
    assert [item.where.rpartition(":")[2] for item in found] == ["1", "3", "4", "5", "7", "8"]
    assert [getattr(item, "cause", None) for item in found] == [None, *["broken json"] * 4, None]
    assert "list" in found[2].detail


def test_the_parts_of_a_small_file_know_their_lines_and_those_of_a_large_one_their_offset(tmp_path, monkeypatch):
    path = write_jsonl(tmp_path / "s.jsonl", 40)
    assert [item.where for item in items(open_source(path, 6))] == [f"{path}:{i + 1}" for i in range(40)]
    monkeypatch.setattr(jsonl, "COUNTED", 0)
    content = (tmp_path / "s.jsonl").read_bytes()
    for item in items(open_source(path, 6)[1:]):
        offset = int(item.where.removeprefix(f"{path}@"))
        assert content[offset:].startswith(b'{"number": %d,' % number(item))


def test_a_part_is_about_as_long_as_the_others(tmp_path):
    path = write_jsonl(tmp_path / "s.jsonl", 400)
    counts = [len(items([unit])) for unit in open_source(path, 8)]
    assert len(counts) == 8 and min(counts) > 40


@pytest.mark.parametrize("parts", [2, 3, 20])
def test_parts_of_parquet_are_row_groups_where_there_are_enough(tmp_path, parts):
    path = write_parquet(tmp_path / "s.parquet", 50, group=10)
    starts = [unit.start for unit in open_source(path, parts)]
    assert len(starts) == parts and (all(start % 10 == 0 for start in starts) is (parts <= 5))


def test_parquet_gives_hugging_face_pictures_as_they_are(tmp_path):
    record = items(open_source(write_parquet(tmp_path / "s.parquet", 3, group=2)))[2]
    assert record.fields["image"] == {"bytes": b"\2" * 50, "path": None}
    assert record.image(record.fields["image"]) == b"\2" * 50


@pytest.mark.parametrize(("start", "stop"), [(0, 4), (-8, None), (40, 400)])
def test_damaged_parquet_ends_with_one_sample_error(tmp_path, start, stop):
    path = write_parquet(tmp_path / "s.parquet", 20, group=10)
    content = bytearray((tmp_path / "s.parquet").read_bytes())
    content[start:stop] = b"\xee" * len(content[start:stop])
    (tmp_path / "s.parquet").write_bytes(content)
    (unit,) = open_source(path)
    found = list(unit.read())
    position, error = found[-1]
    if start == 0:
        assert len(found) == 20  # the first magic number is not what Parquet is read by
        return
    assert isinstance(error, SampleError) and error.cause == "broken parquet" and list(unit.read(position)) == []


def test_splitting_a_file_that_is_not_parquet_is_an_error(tmp_path):
    (tmp_path / "s.parquet").write_bytes(b"hello")
    with pytest.raises(ValueError, match="can't be read as Parquet"):
        open_source(str(tmp_path / "s.parquet"), 2)


def test_a_missing_package_is_an_error_that_names_its_extra(tmp_path, monkeypatch):
    path = write_parquet(tmp_path / "s.parquet", 3, group=2)
    for name in ("pyarrow", "pyarrow.parquet", "fsspec.core"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingPackageError, match=r"seedx\[data\]"):
        items(open_source(path))
    with pytest.raises(MissingPackageError, match=r"seedx\[data\]"):
        items(open_source("memory://s.jsonl"))
    error = try_sample("s.jsonl:0", lambda: storage.open_file("memory://picture.png"))  # one record's own URL
    assert isinstance(error, SampleError) and error.cause == "missing package"


def test_local_files_need_neither_pyarrow_nor_fsspec_nor_torch(tmp_path):
    path = write_jsonl(tmp_path / "s.jsonl", 3)
    code = (
        "import sys; from seedx.data.sources import open_source; list(open_source(sys.argv[1])[0].read());"
        "print(sorted({'pyarrow', 'fsspec', 'torch', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_a_line_over_the_limit_is_skipped_without_being_held(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "MAX_JSON", 64)
    path = tmp_path / "s.jsonl"
    path.write_bytes(b'{"number": 1}\n{"number": "' + b"x" * 1000 + b'"}\n{"number": 2}\n' + b"y" * 200)
    units = open_source(str(path))
    first, large, second, last = items(units)
    assert (number(first), number(second)) == (1, 2) and second.where.endswith(":3")
    assert large.cause == last.cause == "too large" and large.where.endswith(":2")
    position = next(position for position, item in units[0].read() if item.where == second.where)
    assert [item.where for _, item in units[0].read(position)] == [last.where]
    assert [getattr(item, "cause", None) for item in items(open_source(str(path), 3))] == [
        None,
        "too large",
        None,
        "too large",
    ]


def test_a_small_parquet_of_large_repeated_values_is_read_row_by_row(tmp_path, monkeypatch):
    value = bytes(1_000_000)
    table = pyarrow.table({"image": pyarrow.array([value] * 64)})
    pyarrow.parquet.write_table(table, tmp_path / "s.parquet", compression="zstd")
    assert (tmp_path / "s.parquet").stat().st_size < 10_000
    monkeypatch.setattr(parquet, "MAX_BYTES", 1_500_000)
    monkeypatch.setattr(parquet, "MAX_RATIO", 10**9)
    (unit,) = open_source(str(tmp_path / "s.parquet"))
    footer, _ = parquet._footer(unit.path, storage.size(unit.path))
    assert parquet._rows_at_once(footer.row_group(0)) == 1
    assert [item.fields["image"] for item in items([unit])] == [value] * 64
    monkeypatch.setattr(parquet, "MAX_BYTES", 900_000)
    assert {item.cause for item in items([unit])} == {"too large"} and len(items([unit])) == 64
    monkeypatch.setattr(parquet, "MAX_RATIO", 100)
    (error,) = items([unit])
    assert error.cause == "broken parquet" and "unpack to" in error.detail


def test_a_row_that_python_has_no_form_for_is_an_error_of_its_own(tmp_path):
    days = pyarrow.array([0, 100_000_000, 1], pyarrow.int32()).cast(pyarrow.date32())  # the second: the year 275,760
    pyarrow.parquet.write_table(pyarrow.table({"day": days}), tmp_path / "s.parquet")
    first, broken, last = items(open_source(str(tmp_path / "s.parquet")))
    assert broken.cause == "broken row" and broken.where.endswith(":1")
    assert (first.fields["day"].day, last.fields["day"].day) == (1, 2)
