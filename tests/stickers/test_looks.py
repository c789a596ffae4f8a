"""Other looks: pixels change, boxes and the plain render do not."""

import dataclasses
import random

import numpy as np
import pytest
from PIL import Image

from seedx.errors import SeedxError
from seedx_stickers import houses
from seedx_stickers.art import BACKGROUNDS, OBJECTS, sized
from seedx_stickers.looks import PLAIN, SHADES, Ground, Style, _recoloured, banded, painted, shade, styled_art
from seedx_stickers.odd_pictures import OddPicture
from seedx_stickers.scenes import Scene, Sticker, box, is_unseen, render, sample
from seedx_stickers.training.vision_tiles import INDEX, tile_label
from seedx_stickers.varied import LOOKS, varied

CAT = Scene(96, 96, "blue", (Sticker("cat", 0.5, 0.5, 0.5),))


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """A house of two drawings: a red square for the cat, a wide green bar for the dog."""
    monkeypatch.setattr(houses, "FOLDER", tmp_path)
    for cached in (houses._is_there, houses.house_art):
        cached.cache_clear()
    (tmp_path / "noto").mkdir()
    Image.new("RGBA", (256, 256), (255, 0, 0, 255)).save(tmp_path / "noto" / "cat.png")
    Image.new("RGBA", (256, 32), (0, 255, 0, 255)).save(tmp_path / "noto" / "dog.png")
    yield tmp_path
    for cached in (houses._is_there, houses.house_art):
        cached.cache_clear()


def styled(**changes):
    return CAT.with_stickers(dataclasses.replace(CAT.stickers[0], style=Style(**changes)))


def pixels(scene):
    return np.asarray(render(scene)).astype(int)


def test_a_plain_style_is_the_plain_drawing():
    assert styled_art("cat", 40, PLAIN) is sized("cat", 40)
    for name, background in BACKGROUNDS.items():
        assert (painted(background, None, 60, 40) == banded(background, 60, 40)).all(), name


def test_a_mirrored_sticker_is_the_mirror_image():
    lone = CAT.with_stickers(dataclasses.replace(CAT.stickers[0], name="duck"))
    mirrored = lone.with_stickers(dataclasses.replace(lone.stickers[0], style=Style(mirror=True)))
    assert np.abs(pixels(mirrored)[:, ::-1] - pixels(lone)).mean() < 4  # up to a pixel of rounding
    assert np.abs(pixels(mirrored) - pixels(lone)).mean() > 8


def test_paler_and_grey_colours():
    plain, pale, grey = (
        pixels(scene)[40:56, 40:56].reshape(-1, 3) for scene in (CAT, styled(pale=0.5), styled(grey=True))
    )
    assert (pale >= plain - 1).all() and pale.mean() > plain.mean() + 20
    assert np.ptp(grey, axis=1).max() == 0 < np.ptp(plain, axis=1).max()


def test_hues_turn_by_degrees():
    red = Image.new("RGBA", (8, 8), (255, 0, 0, 255))
    assert _recoloured(red, Style(hue=120)).getpixel((4, 4))[:3] == pytest.approx((0, 255, 0), abs=6)
    assert _recoloured(red, Style(hue=-120)).getpixel((4, 4))[:3] == pytest.approx((0, 0, 255), abs=6)


def test_an_outline_surrounds_the_drawing():
    drawing = styled_art("cat", 48, Style(outline=((255, 0, 255), 0.05)))
    assert drawing.width == sized("cat", 48).width + 4 and drawing.height == sized("cat", 48).height + 4
    ring = np.asarray(drawing)
    assert (ring[ring[..., 3] == 255][:, :3] == (255, 0, 255)).all(axis=1).sum() > 100


def test_a_cover_hides_what_it_says():
    covered = np.asarray(styled_art("cat", 50, Style(cover=((1, 2, 3), 0.5, 0.0, 0.3))))
    assert (covered[0, covered.shape[1] // 2] == (1, 2, 3, 255)).all()
    assert not (covered[..., :3] == (1, 2, 3)).all(axis=-1)[30:].any()


def test_another_house_fills_the_box_or_fits_into_it(fetched):
    red = np.asarray(styled_art("cat", 48, Style(house="noto")))
    assert (red[..., 0] == 255).all() and max(red.shape[:2]) == 48
    green = styled_art("dog", 48, Style(house="noto"))  # a bar: stretched by a quarter at most
    assert green.width == sized("dog", 48).width and green.height == round(32 * green.width / 256 * 1.25)
    assert houses.has("noto", "cat") and not houses.has("noto", "pig") and not houses.has("fluent", "cat")
    with pytest.raises(SeedxError, match="no drawing of 'pig'"):
        houses.house_art("noto", "pig")
    with pytest.raises(SeedxError, match="make art"):
        houses.house_art("fluent", "cat")


def test_drawings_of_another_colour_than_their_name_are_left_out(fetched):
    Image.new("RGBA", (8, 8)).save(fetched / "noto" / "red car.png")
    assert not houses.has("noto", "red car")


@pytest.mark.parametrize("paint", ["plain", "gradient", "shaded", "paper"])
def test_a_ground_is_painted_the_same_every_time(paint):
    ground = Ground("", paint, ((200, 60, 60), (60, 60, 200)), seed=5)
    one, other = (painted(BACKGROUNDS["blue"], ground, 50, 30) for _ in range(2))
    assert one.shape == (30, 50, 3) and (one == other).all()
    assert (one.std(axis=(0, 1)).max() == 0) == (paint == "plain")
    if paint != "gradient":
        assert np.abs(one.mean(axis=(0, 1)) - (200, 60, 60)).max() < 60


def test_shades_keep_the_colour_of_their_name():
    order = {"red": (0, 1), "green": (1, 0), "blue": (2, 0), "turquoise": (2, 0), "brown": (0, 2), "purple": (2, 1)}
    for name, (high, low) in order.items():
        for seed in range(50):
            colour = shade(random.Random(seed), name)
            assert colour[high] > colour[low], (name, colour)
    assert all(max(shade(random.Random(seed), "black")) < 45 for seed in range(50))
    assert set(SHADES) >= {name for name, background in BACKGROUNDS.items() if background.colour}


@pytest.mark.parametrize("name", [look for look in LOOKS if "art" not in look])
def test_a_look_changes_pixels_and_keeps_places(name):
    scene = sample(random.Random(3), count=3, names=["cat", "pig", "star"], background="blue")
    other = LOOKS[name](random.Random(4), scene)
    assert [box(scene, s) for s in scene.stickers] == [box(other, s) for s in other.stickers]
    assert [s.name for s in other.stickers] == [s.name for s in scene.stickers]
    assert np.abs(pixels(other) - pixels(scene)).sum() > 0
    assert is_unseen(other) == is_unseen(scene)


def test_varied_scenes_keep_names_of_grounds_and_colours():
    for seed in range(150):
        rng = random.Random(seed)
        scene = sample(rng, names=["red heart", "cat", "blue book"], count=3)
        other = varied(rng, scene)
        assert other.ground is None or other.ground.name == scene.background
        for sticker in other.stickers:
            assert not OBJECTS[sticker.name].colour or (abs(sticker.style.hue) <= 6 and not sticker.style.grey)


def test_labels_of_tiles_follow_the_look():
    turned = CAT.with_stickers(dataclasses.replace(CAT.stickers[0], turn=90.0))
    upright, across = (tile_label(scene, (0, 0, 1, 1)).names == INDEX["cat"] for scene in (CAT, turned))
    assert (np.rot90(upright) != across).mean() < 0.06  # borders of a rounded centre
    free = dataclasses.replace(CAT, ground=Ground("", "plain", ((9, 9, 9),)))
    assert (tile_label(free, (0, 0, 1, 1)).names == INDEX["other ground"]).any()
    assert tile_label(CAT, (0, 0, 1, 1)).drawn and not tile_label(free, (0, 0, 1, 1)).drawn


def test_odd_pictures_are_made_from_their_seed():
    kinds = set()
    for seed in range(40):
        picture = OddPicture.sample(random.Random(seed))
        one, other = picture.render(), picture.render()
        kinds.add(picture.kind)
        assert one.size == (picture.width, picture.height) and one.tobytes() == other.tobytes()
        assert not is_unseen(picture) and not picture.stickers
        if picture.kind != "empty":
            assert (tile_label(picture, (0, 0, 1, 1)).names == INDEX["odd"]).all()
    assert kinds >= {"noise", "texture", "empty"}
