"""Questions about very long pictures: the answers are derived again along the longer side."""

import random
import re
from collections import Counter

import pytest

from seedx.config import TINY
from seedx.messages import Image, Text
from seedx.tiling import choose_grid, tile_count
from seedx_stickers.art import OBJECTS
from seedx_stickers.layout import inside
from seedx_stickers.scenes import is_unseen
from seedx_stickers.tasks import sample
from seedx_stickers.tasks.long import LONG_QUESTIONS, long_scene
from seedx_stickers.tasks.words import a, plural

FORMS = {form: name for name in OBJECTS for form in (name, plural(name))}
FORMS |= {form: thing.kind for thing in OBJECTS.values() for form in (thing.kind, plural(thing.kind))}
THING = re.compile(rf"\b({'|'.join(sorted(FORMS, key=len, reverse=True))})\b")


@pytest.fixture(scope="module")
def examples():
    return [sample(random.Random(f"long{seed}"), "long") for seed in range(500)]


def of_type(examples, *types):
    for example in examples:
        (expected,) = example.expected
        if expected.type in types:
            yield example.messages[0].content[1].text.lower(), expected.source, expected.text


def walk(scene) -> list[tuple[float, str]]:
    """Where things are along the longer side, and their names, from the left or from the top."""
    axis = 0 if scene.width > scene.height else 1
    return sorted(((s.x, s.y)[axis], s.name) for s in scene.stickers)


def matches(name: str, word: str) -> bool:
    return word in (name, OBJECTS[name].kind)


def test_pictures_are_wide_or_tall_up_to_one_to_eight_with_many_small_things(examples):
    ratios, most = Counter(), 0
    for example in examples:
        (scene,) = example.scenes
        shorter, longer = sorted((scene.width, scene.height))
        ratio = longer // shorter
        assert longer == ratio * shorter and 4 <= ratio <= 8 and longer <= 2048
        assert 8 <= len(scene.stickers) <= 30 and all(0.2 <= s.size <= 0.4 for s in scene.stickers)
        assert all(inside(scene, sticker) for sticker in scene.stickers)
        grid = (ratio, 1) if scene.width > scene.height else (1, ratio)
        assert choose_grid((scene.width, scene.height), TINY.tiling) == grid
        assert tile_count((scene.width, scene.height), TINY.tiling) == ratio + 1
        ratios[grid] += 1
        most = max(most, len(scene.stickers))
    assert len(ratios) == 10 and most >= 28


def test_every_type_is_asked(examples):
    types = Counter(example.expected[0].type for example in examples)
    assert set(types) == set(LONG_QUESTIONS) and max(types.values()) < 2 * min(types.values())
    for example in examples[:50]:
        asked, answered = example.messages
        assert asked.content[0] == Image(example.expected[0].source)
        assert answered.content == (Text(example.expected[0].text),)


def test_counts(examples):
    for question, scene, answer in of_type(examples, "how_many"):
        words = THING.findall(question)
        right = sum(matches(s.name, FORMS[words[0]]) for s in scene.stickers) if words else len(scene.stickers)
        assert answer == str(right)


def test_counts_of_groups(examples):
    answers = set()
    for question, scene, answer in of_type(examples, "group"):
        word = re.search("animal|vehicle", question)[0]
        assert answer == str(sum(OBJECTS[s.name].group == word for s in scene.stickers))
        answers.add(answer)
    assert {"0", "1", "2", "3"} <= answers


def test_yes_or_no(examples):
    answers = Counter()
    for question, scene, answer in of_type(examples, "yes_no"):
        if words := THING.findall(question.replace("orange background", "").replace("background orange", "")):
            assert answer == ("yes" if any(matches(s.name, FORMS[words[0]]) for s in scene.stickers) else "no")
            answers[answer] += 1
    assert min(answers["yes"], answers["no"]) > 10


def test_thirds_are_those_of_the_longer_side(examples):
    answers = Counter()
    for question, scene, answer in of_type(examples, "where"):
        (place,) = [x for x, name in walk(scene) if matches(name, FORMS[THING.findall(question)[0]])]
        wide = scene.width > scene.height
        thirds = ("left", "middle", "right") if wide else ("top", "middle", "bottom")
        assert answer == thirds[int(3 * place)] and all(word in question for word in thirds)
        answers[answer] += 1
    assert len(answers) == 5


def test_ends(examples):
    sides = Counter()
    for question, scene, answer in of_type(examples, "end"):
        side = re.search("left|right|top|bottom", question)[0]
        assert (side in ("left", "right")) == (scene.width > scene.height)
        assert answer == a(walk(scene)[0 if side in ("left", "top") else -1][1])
        sides[side] += 1
    assert len(sides) == 4


def test_what_comes_next(examples):
    ways = Counter()
    for question, scene, answer in of_type(examples, "next"):
        way = re.search("left|right|above|below", question)[0]
        order = [name for _, name in walk(scene)]
        if way in ("left", "above"):
            order.reverse()
        (at,) = [i for i, name in enumerate(order) if matches(name, FORMS[THING.findall(question)[-1]])]
        assert answer == a(order[at + 1])
        ways[way] += 1
    assert len(ways) == 4


def test_familiar_and_held_out_scenes():
    assert not any(is_unseen(long_scene(random.Random(seed), False)) for seed in range(60))
    assert all(is_unseen(long_scene(random.Random(seed), True)) for seed in range(60))
