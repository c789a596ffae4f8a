"""What the judge learns to accept and to reject."""

import random

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from seedx_stickers.art import OBJECTS, sized
from seedx_stickers.eyes import EYES, both_eyes
from seedx_stickers.fidelity import fidelity
from seedx_stickers.judge import STRICT, JudgeConfig, Maps, load_judge
from seedx_stickers.judge_pictures import Lesson, eyeless, spoil, spoiled, verdict
from seedx_stickers.judge_training import CELLS, REJECTED, loss_of, targets_of
from seedx_stickers.layout import Ask, compose
from seedx_stickers.scenes import render
from seedx_stickers.scoring import found, judgement, truth
from seedx_stickers.tasks import sample
from seedx_stickers.training.vision_picture import DARK, LIGHT, PictureHead, detail, picture_loss

SCENE = compose([Ask("cat"), Ask("owl")])


def test_fidelity_is_one_for_the_render_and_falls_with_blur():
    cat, _ = SCENE.stickers
    true = render(SCENE)
    values = [fidelity(true.filter(ImageFilter.GaussianBlur(radius)), SCENE, cat) for radius in (0, 1, 2, 4)]
    assert values[0] > 0.999 and values == sorted(values, reverse=True) and values[-1] < 0.5
    assert fidelity(render(compose([Ask("key"), Ask("pizza")])), SCENE, cat) < 0.4


def test_a_drawing_a_few_pixels_off_keeps_its_fidelity():
    moved = np.roll(np.asarray(render(SCENE)), (2, -3), axis=(0, 1))
    assert fidelity(Image.fromarray(moved), SCENE, SCENE.stickers[0]) > 0.95


def test_plain_shapes_are_told_from_less():
    assert verdict("owl", 0.6) is None and verdict("red heart", 0.6) is True
    assert verdict("owl", 0.5) is False and verdict("owl", 0.7) is True


def test_spoiled_drawings_differ_from_their_own():
    for seed in range(40):
        name = random.Random(seed).choice(list(OBJECTS))
        drawing = sized(name, 40)
        bad = spoil(random.Random(seed), drawing, name)
        assert bad.mode == "RGBA"
        assert bad.size != drawing.size or np.abs(np.asarray(bad, int) - np.asarray(drawing, int)).mean() > 2


@pytest.mark.parametrize("name", EYES)
def test_a_face_without_eyes_has_the_rest(name):
    (face,) = (scene := compose([Ask(name)])).stickers
    drawing = sized(name, round(face.size * scene.width))
    picture, blind = render(scene), render(scene.with_stickers())
    corner = round(face.x * 96 - drawing.width / 2), round(face.y * 96 - drawing.height / 2)
    blind.paste(eyeless(drawing, name), corner, eyeless(drawing, name))
    assert both_eyes(picture, scene, face) and not both_eyes(blind, scene, face)
    assert 0 < np.abs(np.asarray(picture, int) - np.asarray(blind, int)).mean(axis=-1).astype(bool).mean() < 0.15


def test_spoiled_stickers_are_not_in_the_lesson_and_count_more():
    config = JudgeConfig()
    for seed in range(20):
        lesson = spoiled(random.Random(seed), SCENE)
        good = [sticker.name for sticker in lesson.scene.stickers]
        assert sorted([*good, *(sticker.name for sticker in lesson.rejected)]) == ["cat", "owl"]
        targets = targets_of(config, [lesson.scene], [lesson])
        for sticker in SCENE.stickers:
            at = config.objects.index(sticker.name), int(sticker.y * CELLS), int(sticker.x * CELLS)
            assert targets.stickers[0][at] == (sticker.name in good)
            assert targets.weights[0][at] == (1 if sticker.name in good else REJECTED)


def test_what_is_unclear_has_no_loss():
    config = JudgeConfig()
    lesson = Lesson(render(SCENE), SCENE.with_stickers(), unclear=SCENE.stickers[:1])
    targets = targets_of(config, [lesson.scene], [lesson])
    which = config.objects.index("cat")
    row, column = int(SCENE.stickers[0].y * CELLS), int(SCENE.stickers[0].x * CELLS)
    losses = []
    for value in (-6.0, 6.0):
        maps = Maps(
            torch.full((1, len(config.objects), CELLS, CELLS), -6.0),
            torch.zeros(1, 1 + max(config.groups), 3, CELLS, CELLS),
            torch.zeros(1, len(config.backgrounds)),
        )
        maps.stickers[0, which, row, column] = value
        losses.append(float(loss_of(config, maps, targets)))
    assert losses[0] == losses[1]


def test_detail_weighs_thin_dark_lines_most():
    pixels = torch.ones(1, 3, 24, 24)
    pixels[..., 12] = -1
    inverse = -pixels
    dark, light = detail(pixels)[0, 0], detail(inverse)[0, 0]
    assert dark[12, 12] == dark.max() > 10 * dark[12, 2]
    assert (dark[12, 12] - dark.min()) / (light[12, 12] - light.min()) > 0.9 * DARK / LIGHT


def test_redrawing_is_scored_on_every_pixel_of_drawings():
    head = PictureHead(16, 4)
    drawn = head(torch.randn(2, 16, 16))
    assert drawn.shape == (2, 3, 96, 96)
    pixels = torch.rand(2, 3, 96, 96) * 2 - 1
    assert picture_loss(pixels, pixels) == 0
    assert torch.allclose(picture_loss(pixels + 0.1, pixels), 0.03 * detail(pixels).sum())


def test_the_strict_judge_accepts_renders_and_rejects_most_of_what_is_spoiled():
    judge = load_judge(STRICT)
    scenes = [sample(random.Random(seed), "draw").scenes[-1] for seed in range(60)]
    assert np.mean([judgement(judge.look(render(scene)), scene)["accuracy"] for scene in scenes]) > 0.97
    accepted = []
    for seed, scene in enumerate(scenes):
        lesson = spoiled(random.Random(f"test/{seed}"), scene)
        bad = truth(scene.with_stickers(*lesson.rejected)).objects
        accepted += [match is not None for match in found(bad, judge.look(lesson.picture).objects)]
    assert np.mean(accepted) < 0.2
