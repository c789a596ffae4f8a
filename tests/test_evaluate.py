"""Evaluation proves itself on models whose scores are known: one that is always right, and one that only copies."""

from types import SimpleNamespace

import pytest

from seedx.evaluate import ABILITIES, as_table, evaluate_stickers, item_of
from seedx.messages import Box
from seedx.stickers.scenes import render
from seedx.stickers.scoring import BEST_PSNR

SEED, N = 7, 8


class Oracle:
    """Knows every answer: by the words and the picture, or by the words alone where the picture is to be drawn."""

    def __init__(self):
        items = [item_of(SEED, ability, index) for ability in ABILITIES for index in range(N)]
        self.answers = {(item.prompt, item.picture.tobytes()): item for item in items}
        self.drawings = {item.prompt: item for item in items if item.example.kind in ("draw", "wish")}
        self.seeds = []

    def chat_batch(self, prompts, *, tiling=True):
        expected = [self.answers[prompt, picture.tobytes()].expected for prompt, (picture,) in prompts]
        return [SimpleNamespace(text=e.text if tiling else "", boxes=list(e.boxes)) for e in expected]

    def draw_batch(self, prompts, seeds):
        self.seeds += seeds
        return [render(self.drawings[prompt].target) for prompt in prompts]

    def edit_batch(self, images, instructions, seeds):
        pairs = zip(instructions, images, strict=True)
        return [render(self.answers[words, image.tobytes()].target) for words, image in pairs]

    def reconstruct_batch(self, images, conditions, seeds):
        return images if conditions else [image.convert("L").convert("RGB") for image in images]


class Copier(Oracle):
    """Answers "yes", points at everything, and gives back the picture that it got, or one and the same."""

    def chat_batch(self, prompts, *, tiling=True):
        return [SimpleNamespace(text="yes", boxes=[Box((0, 0, 1, 1))]) for _ in prompts]

    def draw_batch(self, prompts, seeds):
        return [render(item_of(SEED, "reconstruct", 1).target) for _ in prompts]

    def edit_batch(self, images, instructions, seeds):
        return images


@pytest.fixture(scope="module")
def perfect():
    oracle = Oracle()
    return evaluate_stickers(oracle, SEED, N, batch=3) | {"oracle": oracle}


def test_an_oracle_is_right_everywhere(perfect):
    for part in (perfect, perfect["seen"], perfect["unseen"]):
        assert set(part["questions"].values()) == {1.0}
        assert part["boxes"] == {"iou": 1.0, "acc50": 1.0}
        assert {part["draw"][name] for name in ("all_objects", "none_extra", "background")} == {1.0}
        assert part["edit"]["done"] == 1.0
        assert part["panorama"] == {"tiled": 1.0, "thumbnail": 0.0, "gain": 1.0}
    assert perfect["draw"]["place"] == perfect["draw"]["wish"] == 1.0
    assert perfect["edit"]["psnr_outside"] == BEST_PSNR
    assert perfect["judge"]["accuracy"] == perfect["judge"]["exact"] == 1.0


def test_reconstruction_with_and_without_the_condition(perfect):
    scores = perfect["reconstruct"]
    assert scores["psnr_condition"] == BEST_PSNR > 30 > scores["psnr"] > 5
    assert scores["gain"] == pytest.approx(scores["psnr_condition"] - scores["psnr"], abs=1e-3)
    assert scores["objects_condition"] == 1.0 > scores["objects"]


def test_a_copier_gets_nothing_done():
    scores = evaluate_stickers(Copier(), SEED, N, abilities=["boxes", "draw", "edit"])
    assert scores["edit"]["done"] == 0
    assert scores["edit"]["psnr_outside"] == BEST_PSNR
    assert scores["boxes"]["acc50"] < 0.2
    assert scores["draw"]["all_objects"] < 0.2
    assert "questions" not in scores


def test_scenes_come_from_their_seed_and_are_apart_by_ability(perfect):
    assert item_of(1, "edit", 3).example == item_of(1, "edit", 3).example
    assert item_of(1, "edit", 3).example != item_of(2, "edit", 3).example
    assert [item_of(1, "boxes", index).example.unseen for index in range(8)] == [index % 4 == 0 for index in range(8)]
    assert len(set(perfect["oracle"].seeds)) == N


def test_the_table_shows_every_score_and_its_floor(perfect):
    lines = {line.split()[0]: line.split()[1:] for line in as_table(perfect).splitlines()[1:]}
    assert lines["questions.accuracy"] == ["1.000", "1.000", "1.000", "0.900"]
    assert lines["edit.psnr_outside"] == ["60.00", "60.00", "60.00", "26.00"]
    assert lines["judge.exact"] == ["1.000", "1.000", "1.000"]


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="'questoins': choose from questions"):
        evaluate_stickers(Oracle(), abilities=["questoins"])
    with pytest.raises(ValueError, match="at least one"):
        evaluate_stickers(Oracle(), n=0)
