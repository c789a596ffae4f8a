"""How what a field holds becomes a picture."""

import os

import pytest

from seedx.data.record import Record
from seedx.data.sample_errors import SampleError

TAR = Record("s.tar/a/7", {"jpg": b"whole", "source.jpg": b"source", "json": {"n": 1}})


@pytest.mark.parametrize(
    ("value", "content"),
    [
        (b"bytes", b"bytes"),
        ({"bytes": b"inside", "path": "x.jpg"}, b"inside"),
        ("jpg", b"whole"),
        ("7.jpg", b"whole"),
        ("a/7.jpg", b"whole"),
        ("7.source.jpg", b"source"),
        ("source.jpg", b"source"),
        ({"bytes": None, "path": "7.jpg"}, b"whole"),
    ],
)
def test_pictures_in_a_tar(value, content):
    assert TAR.image(value) == content


@pytest.mark.parametrize("value", ["8.jpg", "b/7.jpg", "png", "json", "7.json"])
def test_a_member_of_another_sample_is_missing(value):
    with pytest.raises(SampleError) as caught:
        TAR.image(value)
    assert caught.value.cause == "missing file" and caught.value.where == "s.tar/a/7"


@pytest.mark.parametrize("value", [None, "", 3, {"bytes": None, "path": None}, {}, ["a.jpg"]])
def test_a_value_that_is_no_picture_is_a_bad_format(value):
    with pytest.raises(SampleError) as caught:
        TAR.image(value)
    assert caught.value.cause == "bad format"


def test_pictures_beside_a_file(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"x")
    record = Record("s.jsonl:1", {}, str(tmp_path))
    path = str(tmp_path / "pictures" / "a.png")
    assert record.image("pictures/a.png") == record.image({"bytes": None, "path": "pictures/a.png"}) == path
    assert record.image(path) == path
    for missing in ("pictures/b.png", "pictures"):
        with pytest.raises(SampleError, match="missing file"):
            record.image(missing)


@pytest.fixture
def folder(tmp_path):
    """A data set's folder beside another one, with links into it."""
    for name in ("data/a.png", "data/inner/b.png", "data2/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "data" / "link.png").symlink_to(tmp_path / "data2" / "c.png")
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "data2")
    (tmp_path / "data" / "own.png").symlink_to("inner/b.png")
    return tmp_path


OUTSIDE = ("../data2/c.png", "inner/../../data2/c.png", "{}/data2/c.png", "link.png", "linked/c.png")


@pytest.mark.parametrize(
    "name", [*OUTSIDE, "file://{}/data/a.png", "/etc/hostname", "http://localhost/a.png", "s3://b/a"]
)
def test_a_record_stays_in_its_folder(folder, name):
    with pytest.raises(SampleError, match="roots") as caught:
        Record("s.jsonl:1", {}, str(folder / "data")).image(name.format(folder))
    assert caught.value.cause == "outside" and caught.value.where == "s.jsonl:1"


@pytest.mark.parametrize("name", ["a.png", "inner/b.png", "inner/../a.png", "own.png", "{}/data/a.png"])
def test_what_lies_in_the_folder_is_found_by_any_name(folder, name):
    assert Record("s.jsonl:1", {}, str(folder / "data")).image(name.format(folder))


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_recipe_may_allow_more(folder, name):
    record = Record("s.jsonl:1", {}, str(folder / "data"), (str(folder / "data2"),))
    assert os.path.samefile(record.image(name.format(folder)), folder / "data2" / "c.png")


@pytest.mark.parametrize(
    "name",
    [
        "memory://bucket/../other/a",
        "memory://bucket2/a",
        "memory://bucket/%2e%2e/other/a",
        "memory://bucket/a::file:///etc/hostname",
    ],
)
def test_a_url_stays_under_those_that_are_listed(name):
    record = Record("s.jsonl:1", {}, "memory://bucket", ("https://images.example.org/",))
    with pytest.raises(SampleError) as caught:
        record.image(name)
    assert caught.value.cause == "outside"


@pytest.mark.parametrize("name", ["a\0b", "\ud83d.png", "x" * 48_000])
def test_a_name_that_no_file_can_have(folder, name):
    with pytest.raises(SampleError) as caught:
        Record("s.jsonl:1", {}, str(folder / "data")).image(name)
    assert caught.value.cause in ("bad format", "missing file") and len(str(caught.value)) < 600


def test_a_file_over_the_limit_and_a_pipe(folder, monkeypatch):
    monkeypatch.setattr("seedx.data.record.MAX_BYTES", 0)
    os.mkfifo(folder / "data" / "pipe.png")
    record = Record("s.jsonl:1", {}, str(folder / "data"))
    for name, cause in (("a.png", "too large"), ("pipe.png", "missing file")):
        with pytest.raises(SampleError) as caught:
            record.image(name)
        assert caught.value.cause == cause


def test_a_data_uri_is_a_picture():
    assert Record("s.jsonl:1", {}, "folder").image("data:image/png;base64,eA==") == "data:image/png;base64,eA=="
