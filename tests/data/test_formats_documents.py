"""Our own messages, pure text, web pages."""

import base64

import pytest
from layouts import layout, make_pictures, record, rng, shown

from seedx.data import formats
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError


def test_messages(tmp_path):
    made = shown(formats.get("messages")(record("messages", tmp_path), rng()))
    assert made == [("user", "@scene.png", "Where is the cat?"), ("assistant", ("cat", 0.1, 0.2, 0.4, 0.6))]


@pytest.mark.parametrize(
    "messages",
    [
        "hi",
        ["hi"],
        [{"role": "robot", "content": "hi"}],
        [{"role": "user", "content": "hi"}],
        [{"role": "assistant", "content": [{"type": "video"}]}],
        [{"role": "assistant", "content": [{"type": "box", "box": [0, 0, "a", 1]}]}],
        [{"role": "assistant", "content": [{"type": "image", "image": 5}]}],
    ],
)
def test_malformed_messages(messages, tmp_path):
    with pytest.raises(SampleError, match="bad format"):
        formats.get("messages")(record("messages", tmp_path, messages=messages), rng())


def test_text(tmp_path):
    one = record("c4", tmp_path)
    assert shown(formats.get("text")(one, rng())) == [("assistant", layout("c4")["text"])]
    assert shown(formats.get("text", field="url")(one, rng())) == [("assistant", "https://example.org/bbq")]
    with pytest.raises(SampleError, match="filtered"):
        formats.get("text", min_chars=1000)(one, rng())


def test_mmc4_read_stands_before_and_drawn_after_its_sentence(tmp_path):
    one = record("mmc4", tmp_path)
    assert shown(formats.get("mmc4", draw=0.0)(one, rng())) == [
        ("system", "@b9040a0dbb22.jpg"),
        ("assistant", "Chocolate cookies are easy.", " Mix butter and sugar."),
        ("system", "@c0ffee.png"),
        ("assistant", "Bake for ten minutes."),
    ]
    assert shown(formats.get("mmc4", draw=1.0)(one, rng())) == [
        (
            "assistant",
            "Chocolate cookies are easy.",
            "@b9040a0dbb22.jpg",
            "Mix butter and sugar.",
            " Bake for ten minutes.",
            "@c0ffee.png",
        )
    ]


def pictures(made):
    return [part for _, *parts in made for part in parts if str(part).startswith("@")]


def test_mmc4_chooses_pictures(tmp_path):
    one = record("mmc4", tmp_path)
    assert pictures(shown(formats.get("mmc4", min_match=0.24)(one, rng()))) == ["@b9040a0dbb22.jpg"]
    assert pictures(shown(formats.get("mmc4", max_images=1)(one, rng()))) == ["@b9040a0dbb22.jpg"]
    with pytest.raises(SampleError, match="filtered"):
        formats.get("mmc4", min_match=0.9)(one, rng())


def test_a_page_is_kept_without_its_missing_pictures(tmp_path):
    for name in ("mmc4", "obelics"):
        one = record(name, tmp_path / name)
        paths = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        paths[0].unlink()
        assert pictures(shown(formats.get(name)(one, rng()))) == [f"@{paths[1].name}"]
        paths[1].unlink()
        with pytest.raises(SampleError, match="missing file"):
            formats.get(name)(one, rng())


def test_mmc4_with_the_pictures_inside(tmp_path):
    info = {"image_base64": base64.b64encode(b"jpeg").decode(), "matched_text_index": 1, "matched_sim": 0.3}
    one = record("mmc4", tmp_path, image_info=[info])
    assert shown(formats.get("mmc4", draw=0.0)(one, rng()))[1] == ("system", b"jpeg")
    with pytest.raises(SampleError, match="image_base64"):
        formats.get("mmc4")(record("mmc4", tmp_path, image_info=[info | {"image_base64": "?"}]), rng())


@pytest.mark.parametrize("index", [3, -1, "0", None])
def test_mmc4_with_a_wrong_index(index, tmp_path):
    one = record("mmc4", tmp_path, image_info=[{"image_name": "a.jpg", "matched_text_index": index}])
    with pytest.raises(SampleError, match="matched_text_index"):
        formats.get("mmc4")(one, rng())


def test_obelics_keeps_the_order_and_draws_nothing_at_the_start(tmp_path):
    one = record("obelics", tmp_path)
    assert shown(formats.get("obelics", draw=0.0)(one, rng())) == [
        ("system", "@lion.jpg"),
        ("assistant", "The lion sleeps all day."),
        ("system", "@zoo.jpg"),
        ("assistant", "The zoo opens at nine."),
    ]
    assert shown(formats.get("obelics", draw=1.0)(one, rng())) == [
        ("system", "@lion.jpg"),
        ("assistant", "The lion sleeps all day.", "@zoo.jpg", "The zoo opens at nine."),
    ]
    assert pictures(shown(formats.get("obelics", max_images=1)(one, rng()))) == ["@lion.jpg"]


def test_malformed_obelics(tmp_path):
    for changes in ({"texts": ["a"]}, {"texts": "abcd"}, {"texts": [None] * 4}):
        with pytest.raises(SampleError, match="bad format"):
            formats.get("obelics")(record("obelics", tmp_path, **changes), rng())


def test_paragraphs_are_separated(tmp_path):
    make_pictures("a.jpg", tmp_path)
    one = Record("a:1", {"images": [None, None, "a.jpg"], "texts": ["One.", "Two.", None]}, str(tmp_path))
    assert shown(formats.get("obelics", draw=1.0)(one, rng())) == [("assistant", "One.", "\n\nTwo.", "@a.jpg")]
