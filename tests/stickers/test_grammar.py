"""The grammar of wordings: what is held out, what the answers are, and that nothing trained is what is tested."""

import random
import re
import string

import pytest

from seedx.errors import SeedxError
from seedx.messages import Box, Text
from seedx_stickers.art import OBJECTS
from seedx_stickers.layout import Ask, compose
from seedx_stickers.looks import Ground
from seedx_stickers.scenes import Scene, Sticker, box
from seedx_stickers.scoring import truth
from seedx_stickers.tasks import grammar
from seedx_stickers.tasks.grammar import asks, follow_ups, honest, nouns, tell
from seedx_stickers.tasks.grammar.expand import Wording, held_out_parts, is_held_out
from seedx_stickers.tasks.grammar.noise import typed, with_error
from seedx_stickers.tasks.stories import things_named
from seedx_stickers.tasks.words import plural

CAT_LEFT_STAR_RIGHT = compose([Ask("cat", place="left"), Ask("star", place="right")], "blue")


def prompts(example):
    return [
        "".join(part.text for part in message.content if isinstance(part, Text))
        for message in example.messages
        if message.role == "user"
    ]


def words(seed=0, wordings="seen"):
    return grammar.wording(random.Random(seed), wordings)


def test_a_rule_names_other_rules_and_values():
    rules = {"ask": ("is {a} {here}",), "here": ("in the {picture}",), "picture": ("photo",)}
    assert Wording(random.Random(0), rules).say("ask", a="a cat") == "is a cat in the photo"


def test_a_tenth_of_the_parts_is_held_out_and_never_used_in_training():
    away = held_out_parts(grammar.RULES)
    assert 0.06 < len(away) / sum(map(len, grammar.RULES.values())) < 0.14
    for rule in ("order_find", "remove", "ask_list", "hello"):  # by their parts alone: no slot hides them
        every = {
            Wording(random.Random(n), {rule: grammar.RULES[rule]}).part(rule, x="cat", **{"in_picture": ""})
            for n in range(400)
        }
        for alternative in grammar.RULES[rule]:
            used = alternative.format(x="cat", in_picture="", picture="") in every
            assert used != is_held_out(rule, alternative), (rule, alternative)


def test_held_out_wordings_use_a_held_out_part():
    for seed in range(60):
        w = words(seed, "held_out")
        w.say("order", do=w.part("order_find", x="cat"))
        assert w.said_held_out
        w = words(seed)
        w.say("order", do=w.part("order_find", x="cat"))
        assert not w.said_held_out


def test_every_rule_that_a_text_names_exists():
    values = set(string.ascii_lowercase) | {
        "xs",
        "at",
        "is",
        "it",
        "ab",
        "on",
        "side",
        "the",
        "to",
        "place",
        "do",
        "word",
        "where",
    }
    for rule, every in grammar.RULES.items():
        for alternative in every:
            for slot in re.findall(r"\{(\w+)\}", alternative):
                assert slot in grammar.RULES or slot in values, (rule, alternative)


@pytest.mark.parametrize("kind", grammar.KINDS)
def test_every_kind_is_made_from_its_seed_in_seen_and_held_out_words(kind):
    for wordings in ("seen", "held_out"):
        one, other = (grammar.sample(random.Random(5), kind, wordings=wordings) for _ in range(2))
        assert one == other
        assert all(prompts(one)) and len(one.expected) == len(prompts(one))


def test_an_unknown_kind_is_named():
    with pytest.raises(SeedxError, match="no task 'aks'"):
        grammar.sample(random.Random(0), "aks")


def test_answers_are_those_of_the_scene():
    for seed in range(200):
        w = words(seed)
        turn = asks.where(w, CAT_LEFT_STAR_RIGHT)
        named = "cat" if any(word in turn.prompt for word in ("cat", "kitty", "kitten")) else "star"
        assert turn.expected.text == {"cat": "left", "star": "right"}[named]
        turn = asks.relation(words(seed), CAT_LEFT_STAR_RIGHT)
        assert turn.expected.text in ("yes", "no", "a cat", "a star")
    assert asks.list_all(words(), CAT_LEFT_STAR_RIGHT).expected.text == "a cat and a star"
    assert asks.background(words(), CAT_LEFT_STAR_RIGHT).expected.text == "blue"


def test_a_box_is_that_of_the_thing_named():
    for seed in range(40):
        turn = asks.boxes(words(seed), CAT_LEFT_STAR_RIGHT)
        (found,) = turn.expected.boxes
        (sticker,) = (s for s in CAT_LEFT_STAR_RIGHT.stickers if s.name == found.label)
        assert found == Box(box(CAT_LEFT_STAR_RIGHT, sticker), sticker.name)


def test_another_ground_is_called_by_its_own_colour_or_not_asked_for():
    red = Scene(96, 96, "blue", (Sticker("cat", 0.5, 0.5, 0.4),), ground=Ground("red", "plain", ((200, 20, 20),)))
    assert asks.background(words(), red).expected.text == "red"
    assert asks.captioned(words(), red).expected.text == "a cat in the middle, on a red background."
    nameless = Scene(96, 96, "blue", red.stickers, ground=Ground("", "plain", ((90, 80, 20),)))
    assert asks.background(words(), nameless) is None
    assert asks.captioned(words(), nameless) is None


def test_what_is_absent_is_said_to_be():
    for seed in range(60):
        for known in (True, False):
            prompt, expected = honest.absent_thing(words(seed), CAT_LEFT_STAR_RIGHT, known)
            named = re.fullmatch(r"There (?:is|are) no (.+)\.", expected.text)[1]
            assert named in prompt and named not in ("cat", "star")
            assert (named in nouns.GROUP_OF) != known or named in nouns.SYNONYMS


def test_unknown_things_are_refused_with_some_of_their_group():
    assert honest.cannot_draw("horse") == "I can't draw a horse: I know animals such as dogs, cats and mice."
    assert honest.cannot_draw("train") == "I can't draw a train: I know vehicles such as cars, bicycles and rockets."
    known = {word for name in OBJECTS for word in (name, OBJECTS[name].kind, *nouns.SYNONYMS.get(name, ()))}
    assert not known & set(nouns.GROUP_OF)  # nothing is both


def test_the_unknown_things_of_the_test_are_not_trained_on():
    seen = set(honest.fresh(nouns.UNKNOWN["animal"], "seen"))
    tested = set(honest.fresh(nouns.UNKNOWN["animal"], "held_out"))
    assert seen and tested and not seen & tested


def test_typing_errors_change_one_place_and_keep_first_letters():
    for seed in range(200):
        text = with_error(random.Random(seed), "find the octopus")
        assert text != "find the octopus" or "ss" in text
        assert abs(len(text) - len("find the octopus")) <= 1
        assert [word[0] for word in text.split()] == ["f", "t", "o"]
    assert with_error(random.Random(0), "a 2+2 is") == "a 2+2 is"  # no word of four letters


def test_text_without_errors_is_the_same_but_for_case_and_marks():
    for seed in range(50):
        text = typed(random.Random(seed), "find the cat", errors=0)
        assert text.lower().rstrip(".!") == "find the cat"


def test_a_follow_up_changes_only_what_it_says():
    met = set()
    for seed in range(120):
        example = grammar.sample(random.Random(seed), "follow_up")
        for before, after in zip(example.expected, example.expected[1:], strict=False):
            met.add(after.type)
            assert after.source == before.target
            one, other = (sorted(item.name for item in truth(e.target).objects) for e in (before, after))
            if after.type == "more":
                assert set(one) == set(other) and len(other) == len(one) + 1
            elif after.type == "swap":
                (a, b), (c, d) = before.target.stickers, after.target.stickers
                assert (a.name, a.x, a.y, b.name, b.x, b.y) == (c.name, d.x, d.y, d.name, c.x, c.y)
            elif after.type == "beside":
                left, right = after.target.stickers
                assert left.name == before.target.stickers[0].name and left.x < right.x
            elif after.type == "size":
                (old,), (new,) = before.target.stickers, after.target.stickers
                assert old.name == new.name and abs(new.size / old.size - 1) > 0.3
            elif after.type == "day":
                assert after.target.stickers == before.target.stickers
                assert before.target.background != after.target.background
    assert met == set(follow_ups.STEPS)


def test_a_story_shows_the_things_of_its_prompt_in_order():
    for seed in range(60):
        example = grammar.sample(random.Random(seed), "story")
        (expected,) = example.expected
        hero, *things = (ask.name for ask in expected.asked)
        shown = [item for frame in expected.frames for item in things_named(frame.text)[0][1:]]
        for thing in things:  # each after the one before
            shown = shown[shown.index(thing) + 1 :]
        assert all(hero in [sticker.name for sticker in frame.scene.stickers] for frame in expected.frames)
        for frame in expected.frames:  # a picture contains what its sentence names
            names, background = things_named(frame.text)
            worn = expected.asked[0].wears  # which the first sentence alone names
            assert {item.name for item in truth(frame.scene).objects} == {*names, *worn}
            assert background in (None, frame.scene.background)


def test_a_story_has_as_many_pictures_as_asked():
    for count in range(1, 9):
        frames = tell.frames_of(Ask("fox"), ["finds a key"], "in the snow", count)
        assert len(frames) == count
    assert [frame.text for frame in tell.frames_of(Ask("fox"), ["finds a key"], "in the snow", 3)] == [
        "The fox walks to a tree in the snow.",
        "The fox finds a key in the snow.",
        "At night, the fox looks at a star.",
    ]


def test_a_slide_is_about_its_subject():
    for seed in range(30):
        example = grammar.sample(random.Random(seed), "slide")
        (expected,) = example.expected
        assert [sticker.name for sticker in expected.target.stickers] == [ask.name for ask in expected.asked]
        for ask in expected.asked:
            assert plural(ask.name) in expected.text.lower()  # the title
