"""Scenes: sampling by seed, held-out combinations, and boxes compared with pixels."""

import random

import numpy as np
import pytest

from seedx_stickers.art import BACKGROUNDS, OBJECTS
from seedx_stickers.layout import Ask, apart, compose
from seedx_stickers.scenes import (
    PLACES,
    Scene,
    Sticker,
    box,
    held_out,
    is_unseen,
    place_of,
    render,
    sample,
    sample_size,
    worn_box,
)


def changed(before: Scene, after: Scene) -> tuple[float, float, float, float]:
    """The box of the pixels that differ, in pixels."""
    rows, columns = np.nonzero((np.asarray(render(before)) != np.asarray(render(after))).any(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def in_pixels(scene: Scene, corners: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(corners) * np.array([scene.width, scene.height] * 2)


def test_the_world_is_large_enough():
    assert len(OBJECTS) >= 60
    assert len(BACKGROUNDS) >= 8


def test_a_seed_gives_one_scene_and_one_picture():
    first, again = (sample(random.Random(11), (160, 96)) for _ in range(2))
    assert first == again != sample(random.Random(12), (160, 96))
    assert render(first).tobytes() == render(again).tobytes()
    assert render(first).size == (160, 96)


def test_stickers_never_overlap_and_stay_within_the_picture():
    for seed in range(300):
        rng = random.Random(seed)
        scene = sample(rng, sample_size(rng))
        assert 1 <= len(scene.stickers) <= 12
        assert apart(scene, 0.009)


def test_sizes_keep_the_limits_and_reach_them():
    sizes = [sample_size(random.Random(seed)) for seed in range(2000)]
    assert all(min(size) >= 64 and max(size) <= 1024 and max(size) <= 4.01 * min(size) for size in sizes)
    assert (
        {width > 3 * height for width, height in sizes}
        == {height > 3 * width for width, height in sizes}
        == {False, True}
    )
    assert 0.4 < sizes.count((96, 96)) / len(sizes) < 0.6


@pytest.mark.parametrize("name", ["cat", "red car", "pineapple", "snail", "key"])
def test_boxes_are_where_the_pixels_change(name):
    empty = Scene(192, 128, "pink", ())
    sticker = Sticker(name, 0.4, 0.55, 0.5)
    found = changed(empty, empty.with_stickers(sticker))
    np.testing.assert_allclose(found, in_pixels(empty, box(empty, sticker)), atol=1.5)


@pytest.mark.parametrize("thing", ["hat", "sunglasses"])
def test_worn_things_are_where_the_pixels_change(thing):
    bare = Scene(128, 128, "pink", (Sticker("cat", 0.5, 0.6, 0.5),))
    worn = bare.with_stickers(Sticker("cat", 0.5, 0.6, 0.5, (thing,)))
    expected = in_pixels(worn, worn_box(worn, worn.stickers[0], thing))
    np.testing.assert_allclose(changed(bare, worn), expected, atol=2)


def test_held_out_pairs_are_few_and_have_no_order():
    names = [*OBJECTS, *BACKGROUNDS]
    pairs = [(a, b) for a in OBJECTS for b in names]
    assert all(held_out(a, b) == held_out(b, a) for a, b in pairs)
    assert 0.04 < sum(held_out(a, b) for a, b in pairs) / len(pairs) < 0.08


def test_unseen_scenes_only_when_asked_for():
    assert held_out("cat", "rose")
    assert is_unseen(compose([Ask("cat"), Ask("rose")]))
    assert not is_unseen(compose([Ask("cat"), Ask("dog")]))
    assert is_unseen(compose([Ask("fox", wears=("hat",))]))
    for seed in range(200):
        assert not is_unseen(sample(random.Random(seed)))
        assert is_unseen(sample(random.Random(seed), unseen=True))


def test_places_have_their_names():
    assert all(place_of(x, y) == name for name, (x, y) in PLACES.items())
    assert place_of(0.0, 1.0) == "bottom left"


def test_sticker_order_decides_what_covers_what():
    both = Scene(96, 96, "white", (Sticker("red heart", 0.5, 0.5, 0.5), Sticker("blue heart", 0.5, 0.5, 0.5)))
    red, _, blue = np.asarray(render(both))[48, 48]
    assert blue > red
