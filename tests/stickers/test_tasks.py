"""The tasks: answers are derived again from the scene, targets are compared with prompts and pixels."""

import random
import re
from collections import Counter
from itertools import combinations, islice

import numpy as np
import pytest

from seedx.messages import Box, Image, Text
from seedx_stickers.art import BACKGROUNDS, OBJECTS
from seedx_stickers.layout import Ask, compose
from seedx_stickers.scenes import PLACES, Scene, held_out, place_of
from seedx_stickers.tasks import DRILLED, DRILLED_SIGNS, KINDS, MANY_TURNS, QUESTIONS, mixture, sample, texts
from seedx_stickers.tasks.panorama import PANORAMA_QUESTIONS
from seedx_stickers.tasks.reading import caption, listing
from seedx_stickers.tasks.words import a, counted, plural

WORDS = {form: name for name, thing in OBJECTS.items() for form in (name, plural(name))}
WORDS |= {form: thing.kind for thing in OBJECTS.values() for form in (thing.kind, plural(thing.kind))}
ANY_THING = re.compile(rf"\b({'|'.join(sorted(WORDS, key=len, reverse=True))})\b")
NUMBERS = {"a": 1, "an": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}


def said(example, turn=0) -> str:
    return "".join(p.text for p in example.messages[turn].content if isinstance(p, Text)).lower().strip("?. ")


def mentioned(text: str) -> list[str]:
    return [WORDS[word] for word in ANY_THING.findall(text)]


def named(scene: Scene, word: str) -> list:
    return [s for s in scene.stickers if word in (s.name, s.name.split()[-1] if OBJECTS[s.name].colour else "")]


def many(kind, n=250, unseen=False):
    return [sample(random.Random(f"{kind}{seed}"), kind, unseen) for seed in range(n)]


def parse_list(answer: str) -> Counter:
    found: Counter = Counter()
    for part in re.split(r", | and ", answer):
        if part == "sunglasses":
            found["sunglasses"] += 1
            continue
        number, words = re.sub(r" with .*", "", part).split(" ", 1)
        found[WORDS[words]] += NUMBERS[number]
    return found


def check_turn(question: str, expected) -> None:
    """The answer again, from the words of the question and the scene alone."""
    scene, answer = expected.source, expected.text
    things = mentioned(question)
    match expected.type:
        case "how_many":
            count = len(named(scene, things[0])) if things else len(scene.stickers)
            assert answer == str(count)
        case "colour":
            (only,) = named(scene, things[0])
            assert f"{answer} {things[0]}" == only.name
        case "background":
            assert answer == scene.background
        case "where" if "third" in question or "middle" in question:
            (only,) = named(scene, things[0])
            assert answer == ("left" if only.x < 1 / 3 else "right" if only.x > 2 / 3 else "middle")
        case "where":
            (only,) = named(scene, things[0])
            assert answer == place_of(only.x, only.y)
        case "list":
            assert parse_list(answer) == Counter(s.name for s in scene.stickers)
        case "yes_no":
            asked = [b.name for b in BACKGROUNDS.values() if re.search(rf"\b{b.phrase}$", question)]
            if "background" in question or asked:
                right = scene.background in (asked or question.split())
            else:
                right = bool(named(scene, things[0]))
            assert answer == ("yes" if right else "no")
        case "relation":
            check_relation(question, things, scene, answer)
        case "what":
            check_what(question, things, scene, answer)


def side_of(question: str) -> tuple[int, int]:
    """The axis that a relation is about, and the sign along it."""
    words = {" left ": (0, -1), " right ": (0, 1)}
    words |= dict.fromkeys((" above ", " over ", " higher "), (1, -1))
    words |= dict.fromkeys((" below ", " under ", " lower "), (1, 1))
    return next(value for word, value in words.items() if word in f" {question} ")


def check_relation(question: str, things: list[str], scene: Scene, answer: str) -> None:
    axis, sign = side_of(question)
    (reference,) = named(scene, things[-1])
    if answer in ("yes", "no"):
        (subject,) = named(scene, things[0])
        beyond = sign * ((subject.x, subject.y)[axis] - (reference.x, reference.y)[axis])
        assert (answer == "yes") == (beyond > 0) and abs(beyond) > 0.1
    else:
        there = [s for s in scene.stickers if sign * ((s.x, s.y)[axis] - (reference.x, reference.y)[axis]) > 0]
        assert [counted(s.name, wears=s.wears) for s in there] == [answer]


def check_what(question: str, things: list[str], scene: Scene, answer: str) -> None:
    if things:  # what an animal wears
        (only,) = named(scene, things[0])
        assert answer == (a(only.wears[0]) if only.wears else "nothing")
    elif any(word in question for word in ("farthest", "last", "closest", "end")):
        far = (max if "right" in question else min)(scene.stickers, key=lambda s: s.x)
        assert answer == a(far.name)
    else:
        places = [place for place in sorted(PLACES, key=len, reverse=True) if place in question]
        there = [
            s
            for s in scene.stickers
            if not places or place_of(s.x, s.y) == places[0] or set(places[0].split()) < set(place_of(s.x, s.y).split())
        ]
        assert [counted(s.name, wears=s.wears) for s in there] == [answer]


@pytest.mark.parametrize("kind", ["question", "panorama"])
def test_answers_are_right_and_all_types_are_asked(kind):
    examples = many(kind, 500)
    for example in examples:
        check_turn(said(example), example.expected[0])
        assert example.messages[1].content == (Text(example.expected[0].text),)
    types = Counter(example.expected[0].type for example in examples)
    assert set(types) == set(QUESTIONS if kind == "question" else PANORAMA_QUESTIONS)
    assert max(types.values()) < 2 * min(types.values())


def test_yes_and_no_are_balanced():
    answers = Counter(e.expected[0].text for e in many("question", 1500) if e.expected[0].text in ("yes", "no"))
    assert 0.4 < answers["yes"] / answers.total() < 0.6


@pytest.mark.parametrize(("kind", "least", "most"), [("conversation", 3, 6), ("drill", 6, 9), ("signs", 4, 7)])
def test_conversations_ask_about_one_picture_and_are_right(kind, least, most):
    examples = [mixture(random.Random(seed), {kind: 1}) for seed in range(200)]
    for example in examples:
        assert len(example.scenes) == 1 and isinstance(example.messages[0].content[0], Image)
        assert 2 * len(example.expected) == len(example.messages)
        for turn, expected in enumerate(example.expected):
            assert expected.source == example.scenes[0]
            check_turn(said(example, 2 * turn), expected)
        assert len({(said(example, 2 * turn), e.type) for turn, e in enumerate(example.expected)}) > 1
    assert np.mean([least <= len(example.expected) <= most for example in examples]) > 0.95
    types = {expected.type for example in examples for expected in example.expected}
    assert types == {"drill": {*DRILLED}, "signs": {*DRILLED_SIGNS}}.get(kind, {*QUESTIONS, "box", "caption"})


def test_captions_tell_all_from_left_to_right():
    scene = compose([Ask("cat", place="left"), Ask("dog", wears=("hat",), place="right")], "blue")
    assert caption(scene) == "a cat on the left and a dog with a hat on the right, on a blue background."
    scene = compose([Ask("star", 2), Ask("owl")], "beach")
    assert listing(scene) == "two stars and an owl"
    assert caption(scene) == "a star on the left, a star in the middle and an owl on the right, on the beach."
    for example in many("caption"):
        scene, text = example.scenes[0], example.expected[0].text
        worn = [thing for s in scene.stickers for thing in s.wears]
        found = sum((Counter({WORDS[w]: NUMBERS.get(n, 1)}) for n, w in counted_words(text)), Counter())
        assert found == Counter([s.name for s in scene.stickers] + worn)
        assert text.endswith(f"{BACKGROUNDS[scene.background].phrase}.")


def counted_words(text: str) -> list[tuple[str, str]]:
    things = text.rsplit(", ", 1)[0]
    return re.findall(rf"(?:\b({'|'.join(NUMBERS)}) )?{ANY_THING.pattern}", things)


def test_boxes_are_those_of_the_things_asked_for():
    several = 0
    for example in many("box", 400):
        expected, text = example.expected[0], said(example)
        (word,) = mentioned(text)
        stickers = sorted(named(example.scenes[0], word), key=lambda s: s.x)
        if side := re.search(r"\b(left|right|top|bottom)\b", text):
            axis = 0 if side[0] in ("left", "right") else 1
            stickers.sort(key=lambda s: (s.x, s.y)[axis])
            stickers = [stickers[0 if side[0] in ("left", "top") else 1]]
        assert [b.label for b in expected.boxes] == [s.name for s in stickers]
        for found, sticker in zip(expected.boxes, stickers, strict=True):
            x0, y0, x1, y1 = found.box
            assert abs((x0 + x1) / 2 - sticker.x) < 1e-6 and abs((y0 + y1) / 2 - sticker.y) < 1e-6
        assert example.messages[1].content == expected.boxes
        several += len(stickers) > 1
    assert several > 20


@pytest.mark.parametrize("kind", [*KINDS, *MANY_TURNS, "chat:story"])
def test_held_out_combinations_stay_out_of_training(kind):
    for seed in range(200):
        example = mixture(random.Random(seed), {kind: 1})
        assert not example.unseen
        for scene in example.scenes:
            things = [name for s in scene.stickers for name in (s.name, *s.wears)]
            assert not any(held_out(x, y) for x, y in combinations(things, 2))
            assert not any(held_out(x, scene.background) for x in things)


@pytest.mark.parametrize("kind", KINDS)
def test_unseen_examples_hold_a_held_out_combination(kind):
    assert all(example.unseen for example in many(kind, 100, unseen=True))
    assert {example.unseen for example in many(kind, 60, unseen=None)} == {True, False}


def test_an_example_follows_from_its_seed():
    weights = dict.fromkeys((*KINDS, "conversation"), 1.0)
    first, again = ([mixture(random.Random(seed), weights) for seed in range(40)] for _ in range(2))
    assert first == again
    assert {example.kind for example in first} == set(weights)


def test_an_unknown_kind_is_explained():
    with pytest.raises(ValueError, match="unknown kind of task 'dance'"):
        sample(random.Random(0), "dance")


def test_the_vocabulary_is_small():
    words = {word for text in texts(2500, seed=1) for word in re.findall(r"(?<!<loc-)\b\w+", text.lower())}
    assert 300 < len(words) < 700
    assert list(islice(texts(50, 3), 100)) == list(islice(texts(50, 3), 100))


def without_spaces(text):
    return "".join(text.split())


def test_every_answer_is_text_boxes_one_drawing_or_a_story():
    for seed in range(300):
        example = mixture(random.Random(seed), dict.fromkeys((*KINDS, "conversation"), 1.0))
        for message, expected in zip(example.messages[1::2], example.expected, strict=True):
            assert message.role == "assistant"
            parts = message.content
            said = "".join(part.text for part in parts if isinstance(part, Text))
            assert all(isinstance(part, Box) for part in parts) or without_spaces(said) == without_spaces(expected.text)
            wanted = [expected.target] if expected.target else [frame.scene for frame in expected.frames]
            assert [p.image for p in parts if isinstance(p, Image)] == wanted
