"""How what a field holds becomes a picture."""

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
