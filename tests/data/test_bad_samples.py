"""Samples that are wrong in the ways people report: each is counted under its cause, and the stream goes on."""

import io
import json
import tarfile

import PIL.Image
import pytest
from shards import add

from seedx import tokenizer
from seedx.data import pictures
from seedx.data.shard_reader import Data, open_mixture
from seedx.data.stream import Stream
from seedx.messages import map_images
from seedx.prompt import prepare
from small import SMALL, TOKENIZER

HUGE = 10**400
PICTURE = {"image": "a.png"}
BOX = {**PICTURE, "expression": "it", "bbox": [1, 2, 8, 4]}
TALK = {"role": "assistant", "content": "Yes."}
FILES = {
    "a.png": "PNG",
    "odd.jpg": "DDS",
    "cut.png": "PNG",
    "cut.avif": "AVIF",
}


def encode(messages):
    opened = map_images(messages, pictures.decode)
    return prepare(opened, tokenizer.load(TOKENIZER), SMALL, max_length=500)


def counts(folder, good, bad, **data):
    """Causes of the errors of a stream of one good record and a bad one. (A record of fields for JSONL.)"""
    for name, kind in FILES.items():
        stream = io.BytesIO()
        PIL.Image.new("RGB", (40, 20), "red").save(stream, kind)
        content = stream.getvalue()
        (folder / name).write_bytes(content[: len(content) * 2 // 3] if "cut" in name else content)
    (folder / "a.jsonl").write_text(f"{json.dumps(good)}\n{json.dumps(bad)}\n")
    mixture = open_mixture([Data(str(folder / "a.jsonl"), epochs=1, **data)], 1)
    stream = Stream(mixture, encode, number=0, streams=1, seed=0, row=500)
    rows = list(stream)
    errors = rows[0].sample_errors
    errors.merge(stream.sample_errors)
    return sum(row.documents for row in rows), errors.counts


@pytest.mark.parametrize(
    ("format", "good", "bad", "cause"),
    [
        ("text", {"text": "x"}, {"text": HUGE}, "bad format"),
        ("referring", BOX, BOX | {"width": 40, "height": 0}, "bad format"),
        ("referring", BOX, BOX | {"width": HUGE, "height": 20}, "bad format"),
        ("referring", BOX, BOX | {"bbox": [1, 2, HUGE, 4]}, "bad format"),
        ("image_text", PICTURE | {"txt": "x"}, {"image": "odd.jpg", "txt": "x"}, "broken image"),
        ("image_text", PICTURE | {"txt": "x"}, {"image": "cut.avif", "txt": "x"}, "broken image"),
        ("image_text", PICTURE | {"txt": "x"}, {"image": "cut.png", "txt": "x"}, "broken image"),
        ("image_text", PICTURE | {"txt": "x"}, {"image": "http://localhost/a.png", "txt": "x"}, "outside"),
        ("image_text", PICTURE | {"txt": "x"}, {"image": "/etc/hostname", "txt": "x"}, "outside"),
        ("messages", {"messages": [TALK]}, {"messages": [TALK], "images": ["a.png"]}, "bad format"),
        ("messages", {"messages": [TALK]}, {"messages": [TALK | {"content": "<image>"}]}, "bad format"),
        ("messages", {"messages": [TALK]}, {"messages": [3]}, "bad format"),
    ],
)
def test_a_bad_sample_is_counted_and_the_good_one_is_used(format, good, bad, cause, tmp_path):
    assert counts(tmp_path, good, bad, format=format) == (1, {cause: 1})


def test_a_url_that_nothing_here_reads_is_a_bad_sample(tmp_path):
    bad = {"image": "nowhere://host/a.png", "txt": "x"}
    made = counts(tmp_path, PICTURE | {"txt": "x"}, bad, format="image_text", options={"roots": ["nowhere://host"]})
    assert made == (1, {"bad format": 1})


@pytest.mark.parametrize("text", ["cut \ud83d", "\ude00 cut", "a\0b", "\ud83d" * 50])
def test_half_an_emoji_is_used(text, tmp_path):
    assert counts(tmp_path, {"text": "x"}, {"text": text}, format="text") == (2, {})


def test_a_score_that_is_not_known_filters(tmp_path):
    good = PICTURE | {"txt": "x", "punsafe": 0.1}
    options = {"at_most": {"punsafe": 0.5}}
    assert counts(tmp_path, good, good | {"punsafe": float("nan")}, format="image_text", options=options) == (
        1,
        {"filtered": 1},
    )
    huge = counts(tmp_path, good, good | {"punsafe": HUGE}, format="image_text", options=options)
    assert huge == (1, {"bad format": 1})


def test_a_torn_tar_ends_with_one_error(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as shard:
        add(shard, "0.txt", b"good")
        add(shard, "1.txt", b"lost")
    (tmp_path / "a.tar").write_bytes((tmp_path / "a.tar").read_bytes()[:1700])
    stream = Stream(
        open_mixture([Data(str(tmp_path / "a.tar"), "text", epochs=1)], 1), encode, number=0, streams=1, seed=0, row=500
    )
    (row,) = stream
    assert row.documents == 1 and row.sample_errors.counts == {"torn tar": 1}
