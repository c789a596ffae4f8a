"""Tasks whose answer is a picture: targets are compared with prompts and pixels."""

import random
import re
from collections import Counter
from itertools import combinations

import numpy as np

from seedx.messages import Image, Text
from seedx_stickers.art import BACKGROUNDS
from seedx_stickers.layout import compose
from seedx_stickers.scenes import Scene, held_out, place_of, render
from seedx_stickers.tasks import grammar, sample
from seedx_stickers.tasks.drawing import LEVEL
from seedx_stickers.tasks.editing import EVERYWHERE, OPERATIONS
from seedx_stickers.tasks.wishes import THEMES
from seedx_stickers.tasks.words import counted


def examples(kind, n=250):
    return [sample(random.Random(f"{kind}{seed}"), kind) for seed in range(n)]


def said(example) -> str:
    return "".join(p.text for p in example.messages[0].content if isinstance(p, Text)).lower().strip("?. ")


def test_drawings_are_what_the_words_name():
    places, grounds = 0, 0
    for example in examples("draw", 400):
        expected, text = example.expected[0], said(example)
        settings = r"\b(beach|meadow|night|snow)\b|(\w+) background"
        background = next((word for found in re.findall(settings, text) for word in found if word), None)
        assert expected.target == compose(expected.asked, background) == example.scenes[0]
        named_places = [ask.place for ask in expected.asked if ask.place]
        for ask in expected.asked:
            assert re.search(rf"\b{counted(ask.name, ask.count)}\b", text)
            assert all(thing in text for thing in ask.wears)
            assert ask.place is None or re.search(rf"{ask.name}\D* the {ask.place}\b", text)
        assert bool(named_places) == bool(re.search(r"the (left|right|top|bottom|middle)", text))
        assert example.messages[1].content == (Text("Here it is."), Image(expected.target))
        places, grounds = places + bool(named_places), grounds + (background is not None)
    assert 0.5 < places / 400 < 0.7 and 0.65 < grounds / 400 < 0.85


def test_drawings_without_places():
    asked = [example.expected[0].asked for example in examples("draw:unplaced", 400)]
    assert not any(ask.place for asks in asked for ask in asks)
    several = sum(any(ask.count > 1 for ask in asks) for asks in asked)
    assert 0.25 < several / 400 < 0.5


def test_scattered_drawings_are_beside_each_other_only_where_the_words_say_so():
    beside, layouts = 0, set()
    for kind in ("draw:unplaced:scattered", "grammar"):
        for seed in range(300):
            rng = random.Random(f"{kind}{seed}")
            example = grammar.sample(rng, "draw:scattered") if kind == "grammar" else sample(rng, kind)
            (expected,) = example.expected
            stickers = expected.target.stickers
            if any(ask.place for ask in expected.asked):
                assert expected.target == compose(expected.asked, expected.target.background)
                continue
            layouts.add(tuple((s.x, s.y) for s in stickers))
            if re.search(r"beside|next to|alongside", said(example)):
                beside += 1
                assert abs(stickers[0].y - stickers[1].y) < LEVEL and len(stickers) == 2
    assert beside > 2 and len(layouts) > 300


def test_equal_words_mean_equal_pictures():
    pictures: dict[str, Scene] = {}
    for kind in ("draw", "wish"):
        for example in examples(kind, 1500):
            assert pictures.setdefault(said(example), example.scenes[0]) == example.scenes[0]
    assert len(pictures) < 2950  # some did meet


def test_wishes_are_designed_and_explained():
    assert len(THEMES) >= 15
    for example in examples("wish"):
        expected = example.expected[0]
        scene = expected.target
        assert 3 <= len(scene.stickers) <= 4
        told = expected.text.removeprefix("Here it is: ").rsplit(", ", 1)[0]
        things = Counter(sticker.name for sticker in scene.stickers)
        assert re.split(", | and ", told) == [counted(name, count) for name, count in things.items()]
        assert expected.text.endswith(f"{BACKGROUNDS[scene.background].phrase}.")
    for theme in THEMES.values():
        assert len(set(theme.wishes)) >= 4
        assert not any(held_out(x, y) for x, y in combinations((*theme.things, theme.background), 2))


def test_edits_change_what_was_asked_and_nothing_else():
    operations = Counter()
    for example in examples("edit", 240):
        expected = example.expected[0]
        source, target = expected.source, expected.target
        operations[expected.type] += 1
        assert example.scenes == [source, target]
        before, after = Counter(s.name for s in source.stickers), Counter(s.name for s in target.stickers)
        brought, gone = list((after - before).elements()), list((before - after).elements())
        match expected.type:
            case "add":
                assert (brought, gone) == ([expected.names[0]], []) and expected.place in said(example)
                assert place_of(target.stickers[-1].x, target.stickers[-1].y) == expected.place
            case "remove":
                assert (brought, gone) == ([], [expected.names[0]])
            case "replace":
                assert (gone, brought) == ([expected.names[0]], [expected.names[1]])
            case "move":
                (moved,) = [s for s in target.stickers if s not in source.stickers]
                assert before == after and place_of(moved.x, moved.y) == expected.place
            case "background":
                assert (
                    source.stickers == target.stickers and target.background == expected.names[0] != source.background
                )
            case "wear":
                (worn,) = [s for s in target.stickers if s not in source.stickers]
                assert (worn.name, *worn.wears) == expected.names and before == after
    assert set(operations) == set(OPERATIONS) and min(operations.values()) > 20


def test_outside_the_touched_boxes_not_a_pixel_differs():
    for example in examples("edit", 60):
        expected = example.expected[0]
        differs = (np.asarray(render(expected.source)) != np.asarray(render(expected.target))).any(axis=2)
        assert differs.any()
        for x0, y0, x1, y1 in expected.touched:
            # The drawing is pasted at whole pixels: up to one and a half around the exact box.
            rows = slice(max(0, int(y0 * 96 - 1.5)), int(y1 * 96 + 2.5))
            differs[rows, max(0, int(x0 * 96 - 1.5)) : int(x1 * 96 + 2.5)] = False
        assert not differs.any()
        assert (expected.touched == (EVERYWHERE,)) == (expected.type == "background")
