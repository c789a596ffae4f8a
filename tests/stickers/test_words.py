"""The English of the tasks, and how answers are compared."""

import random

import pytest

from seedx_stickers.layout import Ask, compose
from seedx_stickers.tasks.words import a, called, counted, normalise, plural


def test_names_fit_one_sticker_alone():
    rng = random.Random(0)
    scene = compose([Ask("dog", place="left"), Ask("dog", place="right"), Ask("red car", place="top")])
    assert called(rng, scene, scene.stickers[0]) is None
    assert called(rng, scene, scene.stickers[0], side=True) == "dog on the left"
    assert {called(rng, scene, scene.stickers[2]) for _ in range(20)} == {"car", "red car"}
    both = compose([Ask("blue car"), Ask("red car")])
    assert {called(rng, both, both.stickers[1]) for _ in range(20)} == {"red car"}


@pytest.mark.parametrize(
    "one, other",
    [
        ("Two stars and a cat.", "a cat, 2 stars"),
        ("Top left", "the top left"),
        ("Yes", "yes."),
        ("two", "2"),
        ("a dog with a hat", "A dog with hat"),
    ],
)
def test_normalise_forgives_the_form(one, other):
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize("one, other", [("no", "yes"), ("left", "top left"), ("1", "2"), ("a cat", "two cats")])
def test_normalise_keeps_the_sense(one, other):
    assert normalise(one) != normalise(other)


def test_grammar():
    assert [a("owl"), a("sunglasses"), a("fish"), a("red car")] == ["an owl", "sunglasses", "a fish", "a red car"]
    assert [plural("mouse"), plural("red car"), plural("strawberry")] == ["mice", "red cars", "strawberries"]
    assert counted("dog", wears=("hat",)) == "a dog with a hat"
