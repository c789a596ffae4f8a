"""Questions about printed words: the answers are derived again from the questions and the scenes."""

import random
import re

import pytest

from seedx_stickers.art import OBJECTS
from seedx_stickers.scenes import TILE, box, is_unseen, place_of
from seedx_stickers.signs import PANELS, Sign, letter_boxes, panel, sign_box
from seedx_stickers.tasks import DRILLED_SIGNS, mixture, sample
from seedx_stickers.tasks.signs import LONGEST, SIGN_QUESTIONS, WORDS
from seedx_stickers.tasks.words import at


def right_answer(type_: str, question: str, scene) -> str:
    by_text = {sign.text: sign for sign in scene.signs}
    printed = [word for word in re.findall(r"[A-Z0-9]+", question) if word in by_text or word in WORDS]
    match type_:
        case "read":
            (only,) = scene.signs
            return only.text
        case "number":
            (only,) = (text for text in by_text if text.isdigit())
            return only
        case "read_at":
            (only,) = (s.text for s in scene.signs if question.removesuffix(" say").endswith(at(place_of(s.x, s.y))))
            return only
        case "word_where":
            return place_of(by_text[printed[0]].x, by_text[printed[0]].y)
        case "word_yes_no":
            return "yes" if printed[0] in by_text else "no"
        case "read_all":
            *before, last = (sign.text for sign in sorted(scene.signs, key=lambda sign: sign.y))
            return f"{', '.join(before)} and {last}"
        case "next_to":
            (sticker,) = (s for s in scene.stickers if re.search(rf"\b({s.name}|{OBJECTS[s.name].kind})\b", question))
            return min(scene.signs, key=lambda sign: pixels_between(scene, sign, sticker)).text
    raise AssertionError(type_)


def pixels_between(scene, sign, sticker) -> float:
    (a, b, c, d), (e, f, g, h) = sign_box(sign, scene.width, scene.height), box(scene, sticker)
    return ((max(0, a - g, e - c) * scene.width) ** 2 + (max(0, b - h, f - d) * scene.height) ** 2) ** 0.5


def plain(said: str) -> str:
    """Without what `styled` adds: the end, and the capital at the beginning, unless that begins a printed word."""
    said = said.rstrip("?. ")
    return said if said[:2].isupper() or said[:1].isdigit() else said[0].lower() + said[1:]


@pytest.mark.parametrize("kind", ["text", "text:tiled", "signs", "signs:tiled"])
def test_answers_are_what_is_written(kind):
    types = set()
    for seed in range(150):
        example = mixture(random.Random(seed), {kind: 1})
        (scene,) = example.scenes
        assert not is_unseen(scene)
        if kind.endswith(":tiled"):
            assert (scene.width, scene.height) != (TILE, TILE)
        for turn, expected in enumerate(example.expected):
            said = "".join(getattr(part, "text", "") for part in example.messages[2 * turn].content)
            assert right_answer(expected.type, plain(said), scene) == expected.text, said
            types.add(expected.type)
    assert types == set(DRILLED_SIGNS if kind.startswith("signs") else SIGN_QUESTIONS)


def test_signs_lie_inside_and_apart():
    for seed in range(200):
        scene = sample(random.Random(seed), "text").scenes[0]
        boxes = [sign_box(sign, scene.width, scene.height) for sign in scene.signs]
        assert all(0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1 for x0, y0, x1, y1 in boxes)
        for i, (a, b, c, d) in enumerate(boxes):
            others = boxes[i + 1 :] + [box(scene, sticker) for sticker in scene.stickers]
            assert all(c <= e or g <= a or d <= f or h <= b for e, f, g, h in others)


@pytest.mark.parametrize("name", PANELS)
def test_letters_stand_in_their_cells(name):
    ground, ink = PANELS[name]
    sign = Sign("W0X", 0.5, 0.5, 0.4, name)
    drawn = panel(sign.text, 80, name).convert("RGB")
    left, *_ = sign_box(sign, 200, 200)
    cells = letter_boxes(sign, 200, 200)
    assert len(cells) == len(sign.text)
    for x0, _, x1, _ in cells:
        cell = drawn.crop((round(x0 - 200 * left), 10, round(x1 - 200 * left), 70))
        colours = [colour for _, colour in cell.getcolors()]
        assert ink in colours and ground in colours


def test_random_letters_are_as_long_as_the_longest_word():
    assert max(map(len, WORDS)) == LONGEST
