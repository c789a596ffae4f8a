"""Stories: pictures are compared with sentences, sentences with the prompt."""

import functools
import random
import re
from collections import Counter
from itertools import combinations

import pytest

from seedx.messages import Image, Text
from seedx_stickers.art import BACKGROUNDS, OBJECTS
from seedx_stickers.scenes import held_out
from seedx_stickers.tasks import sample
from seedx_stickers.tasks.stories import FRAMES, LONGEST, story, things_named
from seedx_stickers.tasks.tales import TALES
from seedx_stickers.tasks.words import NUMBERS

LINES = [(key, line) for key, tale in TALES.items() for line in (*tale.lines, tale.ending)]


@functools.cache
def many(n, unseen=False):
    return [sample(random.Random(f"story{seed}"), "story", unseen) for seed in range(n)]


def prompt_of(example) -> str:
    return "".join(part.text for part in example.messages[0].content if isinstance(part, Text))


@pytest.mark.parametrize(
    ("sentence", "names", "background"),
    [
        ("On the beach, the cat finds a red apple.", ("cat", "red apple"), "beach"),
        ("At night, two mice with hats look at the moon.", ("mouse", "hat", "moon"), "night"),
        ("the fox eats an orange in the orange desert", ("fox", "orange"), "orange"),
        ("The fish meets a snowman and a sunflower under a blue sky.", ("fish", "snowman", "sunflower"), "blue"),
        ("An ice cream, a blue car, on a purple background.", ("ice cream", "blue car"), "purple"),
        ("The bear sees strawberries.", ("bear", "strawberry"), None),
        ("The end.", (), None),
    ],
)
def test_what_a_sentence_names(sentence, names, background):
    assert things_named(sentence) == (names, background)


@pytest.mark.parametrize(("key", "line"), LINES)
def test_every_line_names_its_hero_one_or_two_things_and_a_background(key, line):
    (hero, *things), background = things_named(line.format(x="the cat"))
    assert hero == "cat" and 1 <= len(things) <= 2 and line.count("{x}") == 1
    # Again, by cutting the sentence at its articles.
    rest = line.partition("{x}")[2].removesuffix(".")
    told = [part.strip() for part in re.split(r"\b(?:an?|the)\b|\b(?:on|in|by|with|under|and|to|from)\b", rest)]
    ground = [name for name in BACKGROUNDS if re.search(rf"\b(on|in|under|to) (the|a) {name}\b|^At {name}", line)]
    assert things == [part for part in told if part in OBJECTS] and [background] == ground
    assert not any(held_out(one, other) for one, other in combinations((*things, background), 2))


def test_tales_differ_and_are_long_enough():
    assert len(TALES) == 10 and all(len(tale.lines) == LONGEST for tale in TALES.values())
    assert len({tale.lines[0] for tale in TALES.values()}) == len(TALES)
    for tale in TALES.values():
        assert len({*tale.lines, tale.ending}) == LONGEST + 1
        assert all("{x}" in wording for wording in (*tale.names, tale.clause))


def test_pictures_hold_what_their_sentences_name_and_the_hero_keeps_its_looks():
    worn, begun = Counter(), 0
    for example in many(150):
        (expected,), (hero,) = example.expected, example.expected[0].asked
        content = example.messages[1].content
        assert content[::2] == tuple(Text(frame.text) for frame in expected.frames)
        assert content[1::2] == tuple(Image(frame.scene) for frame in expected.frames)
        assert expected.text == "".join(frame.text for frame in expected.frames)
        begun += expected.source is not None
        for number, frame in enumerate(expected.frames):
            names, background = things_named(frame.text)
            first, *others = frame.scene.stickers
            assert (first.name, first.wears) == (hero.name, hero.wears) and background == frame.scene.background
            assert names == (hero.name, *(hero.wears if number == 0 else ()), *(s.name for s in others))
            assert not any(other.wears or other.name == hero.name for other in others)
        worn[hero.wears] += 1
    assert 0.35 < begun / 150 < 0.65 and 0.2 < 1 - worn[()] / 150 < 0.4


def test_prompts_say_how_many_and_who_or_show_it():
    unsaid = 0
    for example in many(150):
        (expected,), (hero,), text = example.expected, example.expected[0].asked, prompt_of(example).lower()
        count = len(expected.frames)
        assert FRAMES[0] <= count <= FRAMES[1] and re.search(rf"\b({count}|{NUMBERS[count]})\b", text)
        assert re.search(rf"\b{hero.name}\b", text)
        shown = all(thing in text for thing in hero.wears)
        assert shown or expected.source
        unsaid += not shown
        if expected.source:
            assert example.scenes[0] == expected.source and expected.source.stickers[0].wears == hero.wears
    assert 3 < unsaid < 40


def test_the_prompt_alone_decides_the_story():
    """The first picture and the words: whatever the wording, the same hero, tale and number give the same frames."""
    calls = {wording: key for key, tale in TALES.items() for wording in (*tale.names, tale.clause)}
    stories: dict = {}
    for example in many(600, unseen=None):
        (expected,), (hero,), text = example.expected, example.expected[0].asked, prompt_of(example).lower()
        if expected.source:
            key = next(k for k, tale in TALES.items() if tale.lines[0].replace("{x}", "").lower() in text)
        else:
            fits = [w for w in calls if all(part.lower() in text for part in w.split("{x}"))]
            key = calls[max(fits, key=len)]
        decided = (key, hero, len(expected.frames), expected.source is not None)
        assert stories.setdefault(decided, expected.frames) == expected.frames
    assert 300 < len(stories) < 590


def test_a_story_of_any_length_ends_as_it_should():
    for frames in (1, 2, LONGEST):
        for seed in range(20):
            expected = story(random.Random(seed), None, frames).expected[0]
            assert len(expected.frames) == frames
            assert {things_named(frame.text)[0][0] for frame in expected.frames} == {expected.asked[0].name}
            endings = [tale.ending.format(x=f"the {expected.asked[0].name}") for tale in TALES.values()]
            assert things_named(expected.frames[-1].text)[0][-1] in {things_named(ending)[0][-1] for ending in endings}


@pytest.mark.parametrize("frames", [0, LONGEST + 1])
def test_an_impossible_length_is_explained(frames):
    with pytest.raises(ValueError, match=f"1 to 10 pictures, not {frames}"):
        story(random.Random(0), frames=frames)


def test_ten_frames_can_be_familiar_to_the_last_and_dressed():
    examples = [story(random.Random(seed), False, LONGEST) for seed in range(20)]
    assert not any(example.unseen for example in examples)
    assert any(example.expected[0].asked[0].wears for example in examples)
