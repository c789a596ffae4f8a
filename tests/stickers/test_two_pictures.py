"""Drawing from two pictures: the target is compared with the pictures and the prompt."""

import dataclasses
import random
import re

from seedx.messages import Image, Text
from seedx_stickers.art import OBJECTS
from seedx_stickers.layout import compose
from seedx_stickers.tasks import sample


def many(kind, n=200):
    return [sample(random.Random(f"{kind}{seed}"), kind) for seed in range(n)]


def prompt_of(example) -> str:
    return "".join(part.text for part in example.messages[0].content if isinstance(part, Text)).lower()


def test_the_kept_picture_is_given_last():
    for kind in ("try_on", "together"):
        for example in many(kind, 50):
            (expected,) = example.expected
            assert expected.type == kind and expected.source == expected.pictures[-1]
            assert example.messages[0].content[:2] == tuple(map(Image, expected.pictures))
            assert example.messages[1].content == (Text(expected.text), Image(expected.target))


def test_the_animal_of_the_second_picture_wears_what_the_first_shows_and_nothing_else_changes():
    unnamed, distracted = 0, 0
    for example in many("try_on"):
        (expected,), text = example.expected, prompt_of(example)
        shown, source = expected.pictures
        animal, thing = expected.names
        (old,) = [s for s in source.stickers if s.name == animal]
        assert OBJECTS[animal].face and not any(s.wears for s in source.stickers)
        worn = dataclasses.replace(old, wears=(thing,))
        assert expected.target == source.with_stickers(*(worn if s is old else s for s in source.stickers))
        assert len(expected.touched) == 2
        assert re.search(rf"\b{animal}\b", text)
        assert [s.name for s in shown.stickers].count(thing) == 1
        named = thing in text
        assert named or len(shown.stickers) == 1  # what is not named is all there is to see
        unnamed, distracted = unnamed + (not named), distracted + (len(shown.stickers) > 1)
    assert 70 < unnamed < 130 and distracted > 30


def test_animals_come_together_in_order_on_the_second_background():
    sizes = set()
    for example in many("together"):
        (expected,) = example.expected
        rows = [sorted(scene.stickers, key=lambda s: s.x) for scene in expected.pictures]
        names = [sticker.name for row in rows for sticker in row]
        assert [ask.name for ask in expected.asked] == names == [s.name for s in expected.target.stickers]
        assert all(OBJECTS[name].group == "animal" for name in names) and len(set(names)) == len(names)
        assert expected.target == compose(expected.asked, expected.pictures[1].background)
        assert all(name in expected.text for name in names)
        sizes.add(tuple(map(len, rows)))
    assert sizes == {(1, 1), (1, 2), (2, 1), (2, 2)}
