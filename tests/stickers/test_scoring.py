"""Scores of right answers and of one example of each kind of mistake."""

import dataclasses
import random

import pytest

from seedx.messages import Box
from seedx_stickers import scoring, tasks
from seedx_stickers.judge import Seen, Sighting
from seedx_stickers.layout import Ask, compose
from seedx_stickers.scenes import Scene, Sticker, render
from seedx_stickers.tasks import Expected
from seedx_stickers.tasks.example import Frame

DOG = Sticker("dog", 0.22, 0.5, 0.3)
CAT = Sticker("cat", 0.78, 0.5, 0.3)
SCENE = Scene(96, 96, "blue", (DOG, CAT))


def test_truth_names_what_is_worn_where_it_is_worn():
    scene = SCENE.with_stickers(dataclasses.replace(DOG, wears=("hat",)), CAT)
    dog, hat, cat = scoring.truth(scene).objects
    assert (dog.name, hat.name, cat.name) == ("dog", "hat", "cat")
    assert hat.x == pytest.approx(dog.x) and hat.y < dog.y - 0.1 and hat.size == pytest.approx(0.15, abs=0.01)


@pytest.mark.parametrize(
    ("answer", "right"), [("Two stars and a cat.", 1), ("a cat, two stars", 1), ("two stars", 0), ("", 0)]
)
def test_questions_are_exact_after_normalisation(answer, right):
    assert scoring.question(answer, Expected("a cat and two stars", "list")) == {"accuracy": right, "list": right}


def test_iou():
    assert scoring.iou((0, 0, 0.5, 1), (0, 0, 1, 1)) == 0.5
    assert scoring.iou((0, 0, 0.5, 0.5), (0.5, 0.5, 1, 1)) == 0
    assert scoring.iou((0.3, 0.3, 0.3, 0.3), (0.3, 0.3, 0.3, 0.3)) == 0


def test_missing_and_extra_boxes_count_as_nothing():
    one, other = Box((0, 0, 0.5, 0.5)), Box((0.5, 0.5, 1, 1))
    expected = Expected(boxes=(one, other))
    assert scoring.boxes([other, one], expected) == {"iou": 1, "acc@iou0.5": 1}
    assert scoring.boxes([one], expected) == {"iou": 0.5, "acc@iou0.5": 0.5}
    assert scoring.boxes([one, one, one, other], expected) == {"iou": 0.5, "acc@iou0.5": 0.5}
    assert scoring.boxes([], expected) == {"iou": 0, "acc@iou0.5": 0}
    half = scoring.boxes([Box((0, 0, 0.5, 0.2))], Expected(boxes=(one,)))
    assert half["iou"] == pytest.approx(0.4) and half["acc@iou0.5"] == 0


def _drawn(*names_and_places, background="blue"):
    return Seen(tuple(Sighting(name, x, y, 0.3) for name, x, y in names_and_places), background)


def test_drawings():
    asked = (Ask("dog", place="left"), Ask("cat", place="right"))
    expected = Expected(target=compose(asks=asked, background="blue"), asked=asked)
    everything = {"all_objects": 1, "none_extra": 1, "place": 1, "background": 1}
    right = _drawn(("cat", 0.75, 0.45), ("dog", 0.25, 0.55))
    assert scoring.drawing(right, expected) == everything
    swapped = _drawn(("dog", 0.75, 0.45), ("cat", 0.25, 0.55))
    assert scoring.drawing(swapped, expected) == everything | {"place": 0}
    fewer = _drawn(("dog", 0.25, 0.55), background="night")
    assert scoring.drawing(fewer, expected) == {"all_objects": 0, "none_extra": 1, "place": 0.5, "background": 0}
    more = _drawn(("dog", 0.22, 0.5), ("dog", 0.5, 0.8), ("cat", 0.78, 0.5))
    assert scoring.drawing(more, expected) == everything | {"none_extra": 0}


def test_a_drawing_that_names_no_place_has_no_place_score():
    asked = (Ask("dog", 2),)
    expected = Expected(target=compose(asked, "blue"), asked=asked)
    scores = scoring.drawing(_drawn(("dog", 0.3, 0.5)), expected)
    assert scores["place"] is None and scores["all_objects"] == 0


def test_a_hat_beside_the_dog_is_not_worn():
    asked = (Ask("dog", wears=("hat",)),)
    expected = Expected(target=compose(asked, "blue"), asked=asked)
    assert scoring.drawing(scoring.truth(expected.target), expected)["all_objects"] == 1
    assert scoring.drawing(_drawn(("dog", 0.5, 0.5), ("hat", 0.8, 0.5)), expected)["all_objects"] == 0


@pytest.mark.parametrize("operation", ["add", "remove", "replace", "move", "background", "wear"])
def test_every_edit_is_done_in_its_target_and_in_nothing_else(operation):
    rng = random.Random(operation)
    examples = (tasks.sample(rng, "edit").expected[0] for _ in range(1000))
    for expected in [e for _, e in zip(range(5), (e for e in examples if e.type == operation), strict=False)]:
        after, before = render(expected.target), render(expected.source)
        done = scoring.edit(scoring.truth(expected.target), after, expected)
        left = scoring.edit(scoring.truth(expected.source), before, expected)
        assert done["done"] == done[operation] == 1 and left["done"] == left[operation] == 0
        if operation == "background":
            assert done["psnr_outside"] is None
        else:
            assert done["psnr_outside"] == left["psnr_outside"] == scoring.BEST_PSNR


def test_a_try_on_is_done_when_the_thing_is_worn_by_the_right_animal():
    expected = tasks.sample(random.Random(3), "try_on").expected[0]
    after = render(expected.target)
    done = scoring.edit(scoring.truth(expected.target), after, expected)
    assert done == {"done": 1, "try_on": 1, "psnr_outside": scoring.BEST_PSNR}
    assert scoring.edit(scoring.truth(expected.source), render(expected.source), expected)["try_on"] == 0
    thing = expected.names[1]
    bare = expected.source.with_stickers(*expected.source.stickers, Sticker(thing, 0.1, 0.1, 0.15))
    assert scoring.edit(scoring.truth(bare), after, expected)["done"] == 0


def test_animals_that_come_together_are_a_drawing():
    expected = tasks.sample(random.Random(3), "together").expected[0]
    right = {"all_objects": 1, "none_extra": 1, "place": None, "background": 1}
    assert scoring.drawing(scoring.truth(expected.target), expected) == right
    assert scoring.drawing(scoring.truth(expected.source), expected)["all_objects"] == 0


HERO = Ask("cat", wears=("hat",))
FRAMES = (
    Frame("The cat with a hat sees a star at night.", compose([HERO, Ask("star")], "night")),
    Frame("The cat eats a cake in the pink room.", compose([HERO, Ask("cake")], "pink")),
)
TEXTS = [frame.text for frame in FRAMES]
SEENS = [scoring.truth(frame.scene) for frame in FRAMES]
STORY = Expected(" ".join(TEXTS), "story", asked=(HERO,), frames=FRAMES)


@pytest.mark.parametrize(
    ("texts", "seens", "frames", "hero", "told", "count"),
    [
        (TEXTS, SEENS, 1, 1, 1, 1),
        (TEXTS, SEENS[::-1], 0, 1, 1, 1),
        (TEXTS[:1], SEENS[:1], 0.5, 0.5, 0.5, 0),
        ([*TEXTS, TEXTS[1]], [*SEENS, SEENS[1]], 1, 1, 2 / 3, 0),
        ([TEXTS[0], TEXTS[0]], [SEENS[0], SEENS[0]], 1, 1, 0.5, 1),
        (TEXTS, [SEENS[0], _drawn(("cat", 0.3, 0.5), ("cake", 0.7, 0.5), background="pink")], 1, 0.5, 1, 1),
        (TEXTS, [SEENS[0], Seen(SEENS[1].objects, "blue")], 0.5, 1, 1, 1),
        (["The end.", TEXTS[1]], SEENS, 0.5, 1, 0.5, 1),
        ([], [], 0, 0, 0, 0),
    ],
)
def test_stories_show_what_they_tell(texts, seens, frames, hero, told, count):
    scores = scoring.story(texts, seens, STORY)
    assert scores == pytest.approx({"frames": frames, "hero": hero, "told": told, "count": count})


def test_an_addition_in_a_wrong_place_and_a_move_that_leaves_a_copy_are_not_done():
    moved = SCENE.with_stickers(dataclasses.replace(DOG, y=0.78), CAT)
    expected = Expected(type="move", source=SCENE, target=moved)
    picture = render(moved)
    assert scoring.edit(scoring.truth(moved), picture, expected)["done"] == 1
    copied = scoring.truth(SCENE.with_stickers(*moved.stickers, DOG))
    assert scoring.edit(copied, picture, expected)["done"] == 0
    elsewhere = scoring.truth(SCENE.with_stickers(dataclasses.replace(DOG, x=0.5, y=0.78), CAT))
    assert scoring.edit(elsewhere, picture, expected)["done"] == 0


def test_psnr_leaves_out_the_touched_region_alone():
    expected = ((0.0, 0.3, 0.45, 0.7),)
    without_dog = render(SCENE.with_stickers(CAT))
    assert scoring.psnr(without_dog, SCENE) < 20
    assert scoring.psnr(without_dog, SCENE, expected) == scoring.BEST_PSNR
    other = render(dataclasses.replace(SCENE, background="pink"))
    assert scoring.psnr(other, SCENE, expected) < 20
    assert scoring.psnr(other, SCENE, ((0, 0, 1, 1),)) is None


def test_psnr_at_another_size():
    assert scoring.psnr(render(dataclasses.replace(SCENE, width=128, height=128)), SCENE) == scoring.BEST_PSNR


def test_objects_are_recognised_by_name_and_place():
    assert scoring.objects(scoring.truth(SCENE), SCENE) == 1
    assert scoring.objects(_drawn(("dog", 0.22, 0.5), ("fox", 0.78, 0.5)), SCENE) == 0.5
    assert scoring.objects(_drawn(("dog", 0.22, 0.8), ("cat", 0.78, 0.5)), SCENE) == 0.5


def test_one_sighting_serves_one_object():
    two = SCENE.with_stickers(DOG, dataclasses.replace(DOG, y=0.6))
    assert scoring.objects(_drawn(("dog", 0.22, 0.55)), two) == 0.5


def test_a_judgement_is_exact_without_anything_extra():
    truth = scoring.truth(SCENE)
    assert scoring.judgement(truth, SCENE) == {"accuracy": 1, "exact": 1, "background": 1}
    extra = Seen((*truth.objects, Sighting("fox", 0.5, 0.9, 0.2)), "blue")
    assert scoring.judgement(extra, SCENE) == {"accuracy": 1, "exact": 0, "background": 1}
