"""A conversation's pictures, from one stage to the next."""

import pickle

import PIL.Image
import pytest

from seedx.errors import SeedxError
from seedx.images import open_image
from seedx.messages import (
    Box,
    Image,
    Message,
    Text,
    assistant,
    from_json,
    images,
    map_images,
    merge_texts,
    pictures_first,
    to_json,
    user,
)


def test_map_images_changes_the_pictures_and_nothing_else() -> None:
    messages = [user(Image("a.png"), "words", Image("b.png")), assistant(Box((0, 0, 1, 1), "cat"), Image("c.png"))]
    mapped = map_images(messages, len)
    assert mapped == [
        Message("user", (Image(5), Text("words"), Image(5))),
        Message("assistant", (Box((0, 0, 1, 1), "cat"), Image(5))),
    ]
    assert [part.image for part in images(messages)] == ["a.png", "b.png", "c.png"]


def test_sources_are_opened() -> None:
    (opened,) = map_images([user(Image(PIL.Image.new("L", (3, 2))), "what?")], open_image)
    assert isinstance(opened.content[0], Image) and opened.content[0].image.mode == "RGB"


def test_texts_that_follow_each_other_are_merged() -> None:
    picture, box = Image("a.png"), Box((0, 0, 1, 1))
    parts = [Text("a"), Text(" b"), picture, picture, Text("c"), box, Text(""), Text("d")]
    assert merge_texts(parts) == [Text("a b"), picture, picture, Text("c"), box, Text("d")]
    assert merge_texts([]) == [] and parts[0] == Text("a")


def test_pictures_after_all_text_come_first() -> None:
    one, other, text, more = Image("a.png"), Image("b.png"), Text("what is"), Text("this?")
    assert pictures_first([text, more, one, other]) == (one, other, text, more)
    for kept in ([one, text], [text, one, more], [one, text, other], [text], [one], []):
        assert pictures_first(kept) == tuple(kept)


def test_messages_are_pickled() -> None:
    """They go to and from the loader's worker processes."""
    messages = [user(Image(b"bytes"), "words"), assistant(Box((0, 0, 1, 1)))]
    assert pickle.loads(pickle.dumps(messages)) == messages


def test_the_plan_of_an_image_comes_back() -> None:
    record = {"messages": [{"role": "assistant", "content": [{"type": "image", "image": "a.png", "plan": "cat"}]}]}
    assert to_json(from_json(record)) == record
    (part,) = map_images(from_json(record), len)[0].content
    assert part == Image(5, plan="cat")
    record["messages"][0]["content"][0]["plan"] = ["cat"]
    with pytest.raises(SeedxError, match="the plan of an image is a text"):
        from_json(record)
