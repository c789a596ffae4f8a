"""From a description to a scene."""

import itertools
import random

import pytest

from seedx.tokens import text_to_boxes
from seedx_stickers.art import OBJECTS
from seedx_stickers.layout import CLOSE, PLACED, SPACE, Ask, apart, compose, neighbours, plan, scatter
from seedx_stickers.scenes import PLACES, box, place_of, worn_box


def test_without_places_the_order_of_mention_decides():
    scene = compose([Ask("star", 2), Ask("cat")], "beach")
    assert [s.name for s in scene.stickers] == ["star", "star", "cat"]
    assert [place_of(s.x, s.y) for s in scene.stickers] == ["left", "middle", "right"]
    assert scene.background == "beach"
    assert compose([Ask("cat")]).background == "white"


@pytest.mark.parametrize("place", PLACES)
def test_a_named_place_is_kept(place):
    sticker = compose([Ask("cat", place=place)]).stickers[0]
    assert place_of(sticker.x, sticker.y) == place
    assert sticker.size == PLACED


def test_neighbours_make_everything_smaller():
    assert neighbours("left", "top left") and not neighbours("left", "right")
    assert {s.size for s in compose([Ask("cat", place="left"), Ask("dog", place="middle")]).stickers} == {CLOSE}


def test_nothing_overlaps():
    rng = random.Random(0)
    names = list(OBJECTS)
    for count in (1, 2, 3, 4):
        for places in itertools.combinations(PLACES, count):
            chosen = rng.sample(names, count)
            assert apart(compose([Ask(name, place=place) for name, place in zip(chosen, places, strict=True)]))
        for _ in range(100):
            assert apart(compose([Ask(name) for name in rng.sample(names, count)]))


@pytest.mark.parametrize(
    "asks, background, message",
    [
        ([], None, "1 to 4 stickers, not 0"),
        ([Ask("cat", 5)], None, "1 to 4 stickers, not 5"),
        ([Ask("cat", place="left"), Ask("dog")], None, "a place of its own"),
        ([Ask("cat", place="left"), Ask("dog", place="left")], None, "a place of its own"),
        ([Ask("cat", 2, "left")], None, "a place of its own"),
        ([Ask("unicorn")], None, "no 'unicorn'"),
        ([Ask("cat", place="centre")], None, "no 'centre'"),
        ([Ask("cat")], "sea", "no 'sea'"),
    ],
)
def test_mistakes_are_explained(asks, background, message):
    with pytest.raises(ValueError, match=message):
        compose(asks, background)


def test_scattered_things_are_apart_anywhere_and_equal_ones_in_order():
    rng = random.Random(0)
    asks = [Ask("star", 2), Ask("cat", wears=("hat",))]
    scenes = [scatter(rng, asks, "beach") for _ in range(40)]
    for scene in scenes:
        assert [s.name for s in scene.stickers] == ["star", "star", "cat"] and scene.background == "beach"
        assert apart(scene, SPACE) and scene.stickers[0].x < scene.stickers[1].x
    assert {place_of(s.x, s.y) for scene in scenes for s in scene.stickers} == set(PLACES)
    assert all(len(scatter(rng, [Ask(name, 4)]).stickers) == 4 for name in ("cat", "red car", "snowman"))


def test_a_plan_lists_what_is_drawn_in_the_order_of_the_words():
    scene = compose([Ask("cat", place="right", wears=("hat",)), Ask("star", place="left")])
    cat, hat, star = text_to_boxes(plan(scene))
    assert [cat.label, hat.label, star.label] == ["cat", "hat", "star"]
    assert hat.box == pytest.approx(worn_box(scene, scene.stickers[0], "hat"), abs=1 / 224)
    assert star.box == pytest.approx(box(scene, scene.stickers[1]), abs=1 / 224)
