"""The bundled model's replies to fixed requests are those on file.

After a change that is meant to change replies, record them again: `python tests/replies/requests.py record`.
"""

import numpy as np
import pytest

from replies import requests
from replies.requests import Kept
from small import load_with_steps


@pytest.mark.slow
def test_the_bundled_model_replies_as_recorded():
    assert requests.differences(requests.read(), requests.replies(load_with_steps(requests.STEPS))) == []


def test_every_recorded_picture_belongs_to_a_reply():
    kept = requests.read()
    with np.load(requests.HERE / "pictures.npz") as stored:
        assert sum(len(each.pictures) for each in kept.values()) == len(stored.files)
    assert len(kept) >= 50


@pytest.mark.parametrize(
    ("now", "difference"),
    [
        (Kept("cat", [[0.0, 0.0, 1.0, 1.0]], [np.full((2, 2, 3), 11, np.uint8)]), []),
        (Kept("dog", [[0.0, 0.0, 1.0, 1.0]], [np.full((2, 2, 3), 10, np.uint8)]), ["x: 'cat' -> 'dog'"]),
        (Kept("cat", [], [np.full((2, 2, 3), 10, np.uint8)]), ["x: [[0.0, 0.0, 1.0, 1.0]] -> []"]),
        (
            Kept("cat", [[0.0, 0.0, 1.0, 1.0]], [np.full((2, 2, 3), 12, np.uint8)]),
            ["x: picture 0 differs by up to 2 levels"],
        ),
        (Kept("cat", [[0.0, 0.0, 1.0, 1.0]], []), ["x: 1 pictures -> 0, or of other sizes"]),
    ],
)
def test_texts_boxes_and_pixels_are_compared(now, difference):
    before = Kept("cat", [[0.0, 0.0, 1.0, 1.0]], [np.full((2, 2, 3), 10, np.uint8)])
    assert requests.differences({"x": before}, {"x": now}) == difference


def test_a_missing_reply_is_a_difference():
    reply = Kept("cat", [], [])
    assert (
        requests.differences({"x": reply}, {}) == requests.differences({}, {"x": reply}) == ["x: only in one of both"]
    )
