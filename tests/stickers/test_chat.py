"""Conversations: every turn is checked against the scene after the turns before it."""

import random
import re
from collections import Counter

import pytest

from seedx.checkpoint.hub import locate
from seedx.config import TINY
from seedx.messages import Box, Image, Text
from seedx.prompt import encode
from seedx.tokenizer import load
from seedx_stickers.art import OBJECTS
from seedx_stickers.layout import apart
from seedx_stickers.scenes import box, is_unseen, place_of
from seedx_stickers.tasks import sample
from seedx_stickers.tasks.editing import OPERATIONS


@pytest.fixture(scope="module")
def examples():
    return [sample(random.Random(f"chat{seed}"), "chat") for seed in range(500)]


@pytest.fixture(scope="module")
def with_story():
    return [sample(random.Random(f"chat{seed}"), "chat:story") for seed in range(200)]


def words_of(message) -> str:
    return message.content[-1].text.lower().strip("?. ")


def turns(example):
    """(what the user says, what is answered, what is expected) of each turn."""
    asked, answered = example.messages[::2], example.messages[1::2]
    return list(zip(asked, answered, example.expected, strict=True))


def edits(example):
    """What the user says and what is expected, of each edit. (A question may have the type "background", too.)"""
    return [(words_of(asked), e) for asked, _, e in turns(example) if e.target and e.type in OPERATIONS]


def subject(expected):
    """The one sticker that a turn drew, changed or pointed at; None if there is none, or more."""
    if expected.target:
        before = expected.source.stickers if expected.source else ()
        found = [s for s in expected.target.stickers if s not in before]
    else:
        boxes = {b.box for b in expected.boxes}
        found = [s for s in expected.source.stickers if {box(expected.source, s)} == boxes]
    return found[0] if len(found) == 1 else None


def about_it(example):
    """The turns that are about "it", what is expected, and the sticker that was last spoken of."""
    it, found = None, []
    for asked, _, expected in turns(example):
        pronoun = re.search(r"\bit\b", words_of(asked))
        edited = expected.target and expected.type not in ("background", "draw")
        if pronoun and (edited or expected.type in ("where", "box")):
            found.append((expected, it))
        if not (pronoun and expected.type == "where"):
            it = subject(expected)
    return found


def test_each_turn_is_about_the_picture_that_the_last_one_left(examples):
    lengths, given = Counter(), 0
    for example in examples:
        first = example.messages[0].content[0]
        scene = first.image if isinstance(first, Image) else None
        given += scene is not None
        for index, (asked, answered, expected) in enumerate(turns(example)):
            assert expected.source == scene
            assert [p.image for p in asked.content if isinstance(p, Image)] == ([scene] if scene and not index else [])
            if expected.target:
                assert answered.content == (Text("Here it is."), Image(expected.target))
                scene = expected.target
            else:
                assert answered.content == (expected.boxes or (Text(expected.text),))
        lengths[len(example.expected)] += 1
    assert set(lengths) == {3, 4} and 150 < given < 350


def test_second_edits_can_be_done_on_the_result_of_the_first(examples):
    operations = Counter()
    for example in examples:
        for _, expected in edits(example):
            assert expected.source != expected.target and expected.names and expected.touched
            assert apart(expected.source) and apart(expected.target)
            operations[expected.type] += 1
    assert set(operations) == set(OPERATIONS) and max(operations.values()) < 1.5 * min(operations.values())
    assert sum(len(edits(example)) == 2 for example in examples) > 250


def test_edits_change_what_they_name(examples):
    for example in examples:
        for said, expected in edits(example):
            before, after = expected.source, expected.target
            kinds = [OBJECTS[name].kind for name in expected.names if name in OBJECTS]
            assert all(kind in said or re.search(r"\bit\b", said) for kind in kinds)
            assert all(s in after.stickers for s in before.stickers if s.name not in expected.names)
            assert (before.background != after.background) == (expected.type == "background")


def test_it_is_what_was_last_spoken_of(examples):
    types = Counter()
    for example in examples:
        for expected, it in about_it(example):
            assert it in expected.source.stickers
            if expected.boxes:
                assert expected.boxes == (Box(box(expected.source, it), it.name),)
            elif expected.target:
                assert it.name == expected.names[0] and it not in expected.target.stickers
            else:
                assert expected.text == place_of(it.x, it.y)
            types[expected.type] += 1
    assert set(types) == {"box", "where", "remove", "replace", "move", "wear"} and min(types.values()) > 3


def test_questions_and_boxes_come_between(examples):
    types = Counter(e.type for example in examples for e in example.expected)
    assert {"box", "where", "what", "list", "how_many", "yes_no", "relation"} <= set(types)
    assert types["draw"] > 200


def test_held_out_combinations(examples):
    assert not any(is_unseen(scene) for example in examples for scene in example.scenes)
    assert all(sample(random.Random(seed), "chat", True).unseen for seed in range(100))


def test_a_conversation_may_end_in_a_story(with_story):
    for example in with_story:
        *before, last = example.expected
        assert before and not any(expected.frames for expected in before)
        assert 3 <= len(last.frames) <= 4 and last.source is None
        drawn = [part.image for part in example.messages[-1].content if isinstance(part, Image)]
        assert drawn == [frame.scene for frame in last.frames]
        assert "stor" in words_of(example.messages[-2]) or "tell it" in words_of(example.messages[-2])
    assert {expected.type for example in with_story for expected in example.expected} > {"draw", "story", *OPERATIONS}


def test_a_conversation_fits_into_a_row(examples, with_story):
    tokenizer = load(locate("tiny"))
    for some, longest in ((examples, 250), (with_story, 260)):  # a row of training has 256: hardly any is dropped
        lengths = [len(encode(e.messages, tokenizer, TINY, tiles=[1] * len(e.scenes)).input_ids) for e in some]
        assert max(lengths) <= longest and sum(length > 256 for length in lengths) <= 0.01 * len(lengths)
