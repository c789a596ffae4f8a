"""Questions about several pictures: the answers are derived again from the questions and the scenes."""

import random
import re
from collections import Counter

import pytest

from seedx.messages import Image, Text
from seedx_stickers.art import BACKGROUNDS, OBJECTS
from seedx_stickers.scenes import TILE
from seedx_stickers.tasks import sample
from seedx_stickers.tasks.editing import SETTING_NAMES
from seedx_stickers.tasks.several import CHANGES, SEVERAL_QUESTIONS
from seedx_stickers.tasks.words import a, plural

VERBS = ("added", "gone", "became", "moved", "background", "wears")
ORDINALS = ("first", "second", "third")
FORMS = {form: name for name in OBJECTS for form in (name, plural(name))}
FORMS |= {form: thing.kind for thing in OBJECTS.values() for form in (thing.kind, plural(thing.kind))}
THING = re.compile(rf"\b({'|'.join(sorted(FORMS, key=len, reverse=True))})\b")


@pytest.fixture(scope="module")
def examples():
    return [sample(random.Random(f"several{seed}"), "several") for seed in range(600)]


def said(example) -> str:
    return example.messages[0].content[-1].text.lower()


def counts(example) -> list[int]:
    """How many of the thing that the question names are in each picture."""
    word = FORMS[THING.findall(said(example))[0]]
    return [sum(word in (s.name, OBJECTS[s.name].kind) for s in scene.stickers) for scene in example.scenes]


def of_type(examples, type_):
    return [(example, example.expected[0].text) for example in examples if example.expected[0].type == type_]


def test_every_type_has_questions_about_two_or_three_tiles(examples):
    types, numbers = Counter(), Counter()
    for example in examples:
        (expected,) = example.expected
        *pictures, words = example.messages[0].content
        assert tuple(part.image for part in pictures) == expected.pictures and isinstance(words, Text)
        assert expected.source == expected.pictures[0]
        assert example.messages[1].content == (Text(expected.text),)
        assert {(scene.width, scene.height) for scene in expected.pictures} == {(TILE, TILE)}
        types[expected.type] += 1
        numbers[len(pictures)] += 1
    assert set(types) == set(SEVERAL_QUESTIONS) and max(types.values()) < 2 * min(types.values())
    assert set(numbers) == {2, 3} and numbers[3] > 100


def test_the_picture_with_more_of_a_thing(examples):
    answers = Counter()
    for example, answer in of_type(examples, "more"):
        each = counts(example)
        best = [name for name, count in zip(ORDINALS, each, strict=False) if count == max(each)]
        assert answer == (f"the {best[0]}" if len(best) == 1 else "the same")
        assert len(best) in (1, len(each)) and max(each) > 0
        answers[answer] += 1
    assert set(answers) == {"the first", "the second", "the third", "the same"}


def test_things_of_all_pictures_are_counted_together(examples):
    for example, answer in of_type(examples, "total"):
        assert answer == str(sum(counts(example))) != "0"
        assert ("both" in said(example)) == (len(example.scenes) == 2)


def test_one_picture_alone_is_found(examples):
    by_background = 0
    for example, answer in of_type(examples, "which"):
        ground = [b.name for b in BACKGROUNDS.values() if re.search(rf"{b.phrase}\W*$", said(example))]
        if ground:
            hits = [scene.background == ground[0] for scene in example.scenes]
        else:
            hits = [count == 1 for count in counts(example)]
        assert answer == f"the {ORDINALS[hits.index(True)]}" and sum(hits) == 1
        by_background += bool(ground)
    assert by_background > 5


def test_a_thing_in_every_picture(examples):
    answers = Counter()
    for example, answer in of_type(examples, "in_all"):
        assert answer == ("yes" if all(counts(example)) else "no")
        answers[answer, len(example.scenes), any(counts(example))] += 1
    assert {("yes", 2, True), ("yes", 3, True), ("no", 2, True), ("no", 3, True), ("no", 2, False)} <= set(answers)


def test_what_only_one_picture_holds(examples):
    for example, answer in of_type(examples, "difference"):
        names = [{s.name for s in scene.stickers} for scene in example.scenes]
        asked = ORDINALS.index(re.search("first|second", said(example))[0])
        (only,) = names[asked] - names[1 - asked]
        assert answer == a(only) and sum(s.name == only for s in example.scenes[asked].stickers) == 1


def change(before, after) -> str:
    """The sentence about two scenes, read off their differences."""
    if before.background != after.background:
        return f"the background is {SETTING_NAMES.get(after.background, after.background)} now"
    old = [s for s in before.stickers if s not in after.stickers]
    new = [s for s in after.stickers if s not in before.stickers]
    be = next(("are", "were") if s.name == "sunglasses" else ("is", "was") for s in (*old, *new))
    if not old:
        return f"{a(new[0].name)} {be[1]} added"
    if not new:
        return f"the {old[0].name} {be[0]} gone"
    (one,), (other,) = old, new
    if one.name != other.name:
        return f"the {one.name} became {a(other.name)}"
    if one.wears != other.wears:
        return f"the {one.name} wears {a(other.wears[0])} now"
    return f"the {one.name} moved"


def test_what_changed_is_answered_in_one_sentence():
    operations = Counter()
    for seed in range(1500):
        example = sample(random.Random(seed), "several")
        (expected,) = example.expected
        if expected.type != "changed":
            continue
        before, after = expected.pictures
        assert expected.text == change(before, after)
        operations[next(word for word in VERBS if word in expected.text)] += 1
    assert len(operations) == len(CHANGES) and max(operations.values()) < 3 * min(operations.values())


def test_only_the_pictures_are_read(examples):
    for example in examples[:100]:
        assert [part.image for m in example.messages for part in m.content if isinstance(part, Image)] == example.scenes
        assert len(example.scenes) == len(example.expected[0].pictures)
