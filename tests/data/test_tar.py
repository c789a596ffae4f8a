"""Tar shards: the layouts that tools write, and the ways in which shards break."""

import tarfile

import pytest
from shards import add, items, number, write_tar

from seedx.data import tar
from seedx.data.sample_errors import SampleError
from seedx.data.sources import open_source


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize(
    ("format", "prefix", "mtime"),
    [
        (tarfile.USTAR_FORMAT, "train/00.5/", 0),
        (tarfile.GNU_FORMAT, f"{'long' * 40}/", 0),
        (tarfile.PAX_FORMAT, f"{'long' * 40}/", 0),
        (tarfile.PAX_FORMAT, "größe/", 1234.5),  # WebDataset's own writer gives times that need a header more
    ],
)
def test_every_tar_format(tmp_path, format, prefix, mtime, parts):
    path = write_tar(tmp_path / "s.tar", 40, prefix=prefix, format=format, mtime=mtime)
    units = open_source(path, parts)
    assert len(units) == parts
    read = items(units)
    assert [number(item) for item in read] == list(range(40))
    assert [item.where for item in read] == [f"{path}/{prefix}{i:06d}" for i in range(40)]
    assert [len(item.fields["jpg"]) for item in read] == [100 * i for i in range(40)]


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_part_may_begin_between_the_two_headers_of_a_long_name(tmp_path, format):
    path = write_tar(tmp_path / "s.tar", 12, prefix=f"{'long' * 40}/", format=format)
    with open(path, "rb") as file:
        size = len(file.read())
        starts = {tar._first_sample(file, start, size) for start in range(0, size, tar.BLOCK)}
    with tarfile.open(path) as members:
        pictures = {member.offset for member in members if member.name.endswith(".jpg")}
    assert starts - {None} == pictures - {0}


def test_fields_are_named_by_extension_and_decoded(tmp_path):
    with tarfile.open(tmp_path / "s.tar", "w") as shard:
        shard.addfile(tarfile.TarInfo("README"))
        add(shard, "__meta__/info.json", b"{}")
        add(shard, "a/._7.JPG", b"macOS")
        add(shard, "a/7.Source.JPG", b"\x00\x01")
        add(shard, "a/7.meta.json", b'{"n": 1}')
        add(shard, "a/7.txt", "größer".encode())
    (record,) = items(open_source(str(tmp_path / "s.tar")))
    assert record.fields == {"source.jpg": b"\x00\x01", "meta.json": {"n": 1}, "txt": "größer"}


@pytest.mark.parametrize("parts", [1, 3])
def test_a_shard_cut_anywhere_gives_the_samples_before_and_one_sample_error(tmp_path, parts):
    path = write_tar(tmp_path / "s.tar", 6)
    whole = (tmp_path / "s.tar").read_bytes()
    with tarfile.open(path) as shard:
        members = shard.getmembers()
    ends = [member.offset for member in members if member.name.endswith(".jpg")][1:]
    end_mark = members[-1].offset_data + tar.BLOCK
    for size in range(100, len(whole), 500):
        (tmp_path / "s.tar").write_bytes(whole[:size])
        *good, last = items(open_source(path, parts))
        if size >= end_mark + tar.BLOCK:
            assert number(last) == 5 and len(good) == 5
            continue
        assert isinstance(last, SampleError) and last.cause == "torn tar" and last.where == path
        # A sample is known to be whole once the header of the next one can be read.
        assert [number(item) for item in good] == list(range(sum(size >= end + tar.BLOCK for end in ends)))


@pytest.mark.parametrize("filling", [b"\0", b"x"])
def test_a_hole_ends_the_shard_as_torn(tmp_path, filling):
    path = write_tar(tmp_path / "s.tar", 200)
    content = bytearray((tmp_path / "s.tar").read_bytes())
    with tarfile.open(path) as members:
        hole = members.getmember("000010.jpg").offset
    content[hole : hole + 5000] = filling * 5000
    (tmp_path / "s.tar").write_bytes(content)
    *good, last = items(open_source(path))
    assert [number(item) for item in good] == list(range(9)) and last.cause == "torn tar"  # 9 may have had more


def test_a_sample_error_ends_the_shard_for_good(tmp_path):
    path = write_tar(tmp_path / "s.tar", 3)
    (tmp_path / "s.tar").write_bytes((tmp_path / "s.tar").read_bytes()[:2000])
    (unit,) = open_source(path)
    *_, (position, error) = unit.read()
    assert isinstance(error, SampleError) and list(unit.read(position)) == []


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [("1.json", b"{", "broken json"), ("1.txt", b"\xff", "broken text"), ("1.jpg", b"again", "bad format")],
)
def test_a_broken_member_makes_its_sample_alone_an_error(tmp_path, name, content, cause):
    with tarfile.open(tmp_path / "s.tar", "w") as shard:
        add(shard, "0.jpg", b"0")
        add(shard, "1.jpg", b"1")
        add(shard, name, content)
        add(shard, "2.jpg", b"2")
    before, error, after = items(open_source(str(tmp_path / "s.tar")))
    assert before.fields == {"jpg": b"0"} and after.fields == {"jpg": b"2"}
    assert error.cause == cause and error.where == f"{tmp_path}/s.tar/1"


def with_size(path, name, field):
    """The shard with another size of a member: 12 bytes as they stand in its header."""
    content = bytearray(path.read_bytes())
    with tarfile.open(path) as shard:
        start = shard.getmember(name).offset
    content[start + 124 : start + 136] = field
    content[start + 148 : start + 156] = b" " * 8
    content[start + 148 : start + 156] = b"%06o\0 " % sum(content[start : start + 512])
    path.write_bytes(content)


@pytest.mark.parametrize("size", [-1, -512, -(2**63), 10**6, 2**63, 2**87])
def test_a_negative_or_absurd_size_is_a_torn_tar(tmp_path, size):
    path = write_tar(tmp_path / "s.tar", 4)
    field = (b"\xff" if size < 0 else b"\x80") + (size % 256**11).to_bytes(11, "big")
    with_size(tmp_path / "s.tar", "000002.jpg", field)
    *good, last = items(open_source(path))
    assert [number(item) for item in good] == [0, 1] and last.cause == "torn tar"


@pytest.mark.parametrize("size", ["-512", "-1", "9" * 30, "99999999"])
def test_a_negative_or_absurd_size_in_a_pax_header_is_a_torn_tar(tmp_path, size):
    with tarfile.open(tmp_path / "s.tar", "w", format=tarfile.PAX_FORMAT) as shard:
        add(shard, "0.txt", b"good")
        add(shard, "1.txt", b"bad", pax_headers={"size": size, "comment": "x"})
        add(shard, "2.txt", b"lost")
    good, last = items(open_source(str(tmp_path / "s.tar")))
    assert good.fields == {"txt": "good"} and last.cause == "torn tar"


def test_a_pax_header_of_many_records_is_read_once(tmp_path):
    record = b"4 =\n"
    assert tar._longer(tarfile.XHDTYPE, record * 200_000 + b"14 path=a.txt\n") == ("a.txt", None)
    with pytest.raises(tar.Torn, match="a record of 1 bytes"):
        tar._longer(tarfile.XHDTYPE, b"1 =\n")


def test_a_sample_over_the_limit_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(tar, "MAX_BYTES", 250)
    large = items(open_source(write_tar(tmp_path / "s.tar", 4)))
    assert [getattr(item, "cause", None) for item in large] == [None, None, None, "too large"]


def test_a_name_that_is_not_utf8_can_be_shown_and_seeds_random_choices(tmp_path):
    with tarfile.open(tmp_path / "s.tar", "w", format=tarfile.USTAR_FORMAT, encoding="latin-1") as shard:
        add(shard, "\xe9.txt", b"e acute")
        add(shard, "\xe8.txt", b"e grave")
    records = items(open_source(str(tmp_path / "s.tar")))
    assert [record.fields["txt"] for record in records] == ["e acute", "e grave"]
    assert records[0].where.encode().endswith(b"/\\xe9")
