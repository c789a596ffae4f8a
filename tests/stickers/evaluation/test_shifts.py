"""Distribution shifts change the pictures and keep the right answers."""

import random

import numpy as np
import pytest
from known import SEED, N, Oracle

from seedx_stickers.evaluation import ABILITIES, evaluate_stickers, item_of
from seedx_stickers.evaluation.shifts import NOISE, SHIFTS, SIGNS, STICKERS, TURN, smaller, turned
from seedx_stickers.scenes import box, sample

READING = [name for name, ability in ABILITIES.items() if ability.reads]


@pytest.mark.parametrize("shift", SHIFTS)
def test_answers_stay(shift):
    for ability in READING:
        for index in range(6):
            plain, other = item_of(SEED, ability, index), item_of(SEED, ability, index, shift)
            assert other.prompt == plain.prompt and other.expected.text == plain.expected.text
            assert other.example.unseen == plain.example.unseen
            assert any(a.tobytes() != b.tobytes() for a, b in zip(plain.pictures, other.pictures, strict=True))
            for one, moved in zip(plain.expected.boxes, other.expected.boxes, strict=True):
                assert moved.label == one.label
                assert centre(moved.box) == pytest.approx(centre(one.box), abs=1e-6)


def centre(corners):
    x0, y0, x1, y1 = corners
    return (x0 + x1) / 2, (y0 + y1) / 2


def test_small_stickers_and_signs_are_smaller_than_any_in_training():
    for index in range(8):
        for ability in ("boxes", "text", "panorama"):
            (scene,) = item_of(SEED, ability, index, "sizes-noise").example.scenes
            assert all(STICKERS[0] <= sticker.size <= STICKERS[1] < 0.2 for sticker in scene.stickers)
            assert all(SIGNS[0] <= sign.size <= SIGNS[1] < 0.15 for sign in scene.signs)
    item = item_of(SEED, "boxes", 1, "sizes-noise")
    scene, boxes = item.example.scenes[0], item.expected.boxes
    assert boxes and all(any(box(scene, s) == each.box for s in scene.stickers) for each in boxes)


def test_noise_is_noise():
    picture = item_of(SEED, "boxes", 1).pictures[0]
    noisy = SHIFTS["sizes-noise"].picture(random.Random(0), picture)
    difference = np.asarray(noisy, float) - np.asarray(picture, float)
    assert difference.mean() == pytest.approx(0, abs=2) and difference.std() == pytest.approx(NOISE, rel=0.25)


def test_turned_stickers_stay_in_their_places():
    scene = sample(random.Random(0), count=3)
    other = turned(random.Random(1), scene)
    assert [(s.name, s.x, s.y, s.size) for s in other.stickers] == [(s.name, s.x, s.y, s.size) for s in scene.stickers]
    turns = [sticker.turn for sticker in other.stickers]
    assert all(0 < abs(turn) <= TURN for turn in turns) and len(set(turns)) == len(turns)
    assert smaller(random.Random(1), scene).stickers[0].turn == 0


@pytest.mark.slow
def test_an_oracle_is_right_about_shifted_pictures_in_abilities_that_read():
    scores = evaluate_stickers(Oracle("rotated"), SEED, N, shift="rotated", trained=0)
    assert list(scores["seconds"]) == READING and scores["shift"] == "rotated"
    assert scores["questions"]["accuracy"] == scores["boxes"]["acc@iou0.5"] == scores["text"]["accuracy"] == 1
    assert scores["reconstruct"]["psnr_condition"] == 60
