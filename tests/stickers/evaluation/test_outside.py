"""The abilities outside of the templates' world: an oracle is right everywhere, and each score can fail."""

import dataclasses

import pytest
from PIL import Image as Pixels

from seedx.inference.reply import Reply
from seedx.messages import Image, Text, user
from seedx_stickers import eyes, houses
from seedx_stickers.evaluation import EVERY, item_of
from seedx_stickers.evaluation.outside import OUTSIDE, SEEDS, distinct
from seedx_stickers.judge import load_judge
from seedx_stickers.layout import Ask, compose
from seedx_stickers.scenes import render
from seedx_stickers.tasks.grammar.follow_ups import STEPS

OFFLINE = [name for name in OUTSIDE if name not in ("art", "seeds")]


@pytest.fixture(scope="module")
def judge():
    return load_judge()


def words(reply):
    return (Reply((Text(reply),)),)


@pytest.mark.parametrize("name", OFFLINE)
def test_an_oracle_is_right(judge, name):
    for index in range(8):
        item = item_of(3, name, index)
        values = EVERY[name].score(judge, item, item.truth)
        assert all(value in (1.0, None) for value in values.values()), (item.prompt, values)


@pytest.mark.parametrize("name", OFFLINE)
def test_a_picture_of_something_else_is_wrong(judge, name):
    for index in range(8):
        item = item_of(3, name, index)
        wrong = tuple(Reply((Image(render(compose([Ask("key")], "snow"))),)) for _ in item.turns)
        main = next(iter(EVERY[name].score(judge, item, wrong).values()))
        # A present thing is not denied by it, and what an edit removes is not on it.
        assert main == 0.0 or item.example.kind == "edit" or (name == "absent" and item.expected.type != "absent")


def test_absence_must_be_said_and_presence_not_denied(judge):
    score = EVERY["absent"].score
    missing, present = item_of(3, "absent", 0), item_of(3, "absent", 2)
    assert score(judge, missing, words("There is no dog."))["said"] == 1
    assert score(judge, missing, words("left"))["said"] == 0
    assert score(judge, present, words("There is no dog."))["not_denied"] == 0
    assert score(judge, present, words("top left"))["not_denied"] == 1


def test_the_same_questions_come_in_any_case_and_with_errors():
    for index in range(8):
        plain, upper, wrong = (item_of(3, name, index).prompt for name in ("wording", "wording_case", "wording_typo"))
        assert upper.lower() == plain.lower() and upper != plain
        assert wrong != plain and abs(len(wrong) - len(plain)) <= 1


def test_held_out_wordings_are_other_ones():
    seen = {item_of(3, "wording", index).prompt for index in range(20)}
    assert not seen & {item_of(3, "wording_held_out", index).prompt for index in range(20)}


def test_a_follow_up_is_compared_with_what_was_drawn_before(judge):
    score, met = EVERY["follow_ups"].score, set()
    for index in range(2 * len(STEPS)):
        item = item_of(3, "follow_ups", index)
        first, second = (expected.target for expected in item.example.expected)
        step = item.example.expected[1].type
        assert score(judge, item, (item.truth[0], item.truth[0]))["done"] == 0, item.turns
        if not any(sticker.wears for sticker in (*first.stickers, *second.stickers)):
            mirrored = tuple(
                Reply(
                    (Image(render(scene.with_stickers(*(dataclasses.replace(s, y=1 - s.y) for s in scene.stickers)))),)
                )
                for scene in (first, second)
            )
            assert score(judge, item, mirrored)["done"] == 1, item.turns
            met.add(step)
    assert met == set(STEPS) - {"hat"}


def test_layouts_are_counted_once(judge):
    target = compose([Ask("cat"), Ask("star")])
    one, other = target, target.with_stickers(*(dataclasses.replace(s, y=0.75) for s in target.stickers))
    item = item_of(3, "seeds", 0)
    example = dataclasses.replace(
        item.example,
        messages=[user("x")],
        expected=[dataclasses.replace(item.expected, target=target, asked=(Ask("cat"), Ask("star")))],
    )
    item = dataclasses.replace(item, example=example)
    drawn = [Reply((Image(render(scene)),)) for scene in (one, other, one, other, one, one, one)]
    wrong = Reply((Image(render(compose([Ask("key")]))),))
    values = distinct(judge, item, (*drawn, wrong))
    assert values == {"layouts": 2.0, "all_objects": 7 / SEEDS}


@pytest.mark.parametrize("name", eyes.EYES)
def test_eyes_are_seen_and_missed(name):
    scene = compose([Ask(name)])
    (face,) = scene.stickers
    true = render(scene)
    assert eyes.both_eyes(true, scene, face)
    moved = Pixels.new("RGB", true.size, (250, 250, 250))
    moved.paste(true, (2, -1))
    assert eyes.both_eyes(moved, scene, face)  # two pixels beside
    left, top, right, bottom = (96 * side for side in (0.2, 0.2, 0.5, 0.8))
    half = true.copy()
    half.paste(true.getpixel((48, 40)), (round(left), round(top), round(right), round(bottom)))
    assert not eyes.both_eyes(half, scene, face)  # one eye
    assert not eyes.both_eyes(true.resize((12, 12)).resize((96, 96)), scene, face)  # a blob


def test_other_art_has_to_be_fetched(monkeypatch, tmp_path):
    monkeypatch.setattr(houses, "FOLDER", tmp_path)
    houses._is_there.cache_clear()
    with pytest.raises(ValueError, match="make art"):
        item_of(3, "art", 0)
    houses._is_there.cache_clear()
