"""The judge finds what is there and nothing else, and its training can be resumed and repeated."""

import dataclasses
import json
import random

import numpy as np
import pytest
import torch
from PIL import Image

from seedx_stickers import judge as judges
from seedx_stickers import tasks
from seedx_stickers.art import OBJECTS
from seedx_stickers.judge import Judge, JudgeConfig, Sighting
from seedx_stickers.judge_training import Plan, Training, batch_of, loss_of, targets_of, train
from seedx_stickers.scenes import Scene, Sticker, render
from seedx_stickers.scoring import judgement, truth

SMALL = Plan(steps=2, batch=2, warmup=1)


@pytest.fixture(scope="module")
def judge() -> Judge:
    return judges.load_judge()


def test_it_is_right_on_renders(judge):
    rng = random.Random("test judge")
    scenes = [tasks.sample(rng, kind, None).expected[0].target for kind in ("draw", "edit") for _ in range(30)]
    scores = [judgement(judge.look(render(scene)), scene) for scene in scenes]
    assert np.mean([score["accuracy"] for score in scores]) >= 0.99
    assert np.mean([score["exact"] for score in scores]) >= 0.97
    assert all(score["background"] for score in scores)


@pytest.mark.parametrize("kind", [{"red car", "blue car"}, {"red heart", "blue heart", "green heart", "yellow heart"}])
def test_it_tells_colours_apart(judge, kind):
    for name in kind:
        seen = judge.look(render(Scene(96, 96, "grey", (Sticker(name, 0.4, 0.6, 0.3),))))
        assert [item.name for item in seen.objects] == [name]


def test_it_sees_what_an_animal_wears(judge):
    scene = Scene(96, 96, "meadow", (Sticker("dog", 0.4, 0.5, 0.4, ("hat", "sunglasses")),))
    assert judgement(judge.look(render(scene)), scene)["exact"] == 1


def test_it_sees_where_and_how_big_at_other_sizes_and_ratios(judge):
    scene = Scene(400, 200, "pink", (Sticker("cat", 0.2, 0.5, 0.4), Sticker("cat", 0.4, 0.5, 0.3)))
    seen = sorted(judge.look(render(scene)).objects, key=lambda item: item.x)
    for item, wanted in zip(seen, truth(scene).objects, strict=True):
        assert (item.x, item.y) == pytest.approx((wanted.x, wanted.y), abs=0.02)
        assert item.size == pytest.approx(wanted.size, rel=0.1)


def test_it_sees_nothing_in_empty_pictures_and_in_noise(judge):
    assert judge.look(Image.new("RGB", (96, 96), "white")).objects == ()
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    assert judge.look(Image.fromarray(noise)).objects == ()


def test_every_object_of_the_world_has_an_output(judge):
    assert set(judge.config.objects) == set(OBJECTS)


def test_a_judge_of_other_stickers_is_refused(tmp_path):
    judges.save_judge(Judge(), tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text())
    stored["objects"].remove("dog")
    (tmp_path / "config.json").write_text(json.dumps(stored))
    with pytest.raises(ValueError, match="dog"):
        judges.load_judge(tmp_path)
    with pytest.raises(ValueError, match="judge_training"):
        judges.load_judge(tmp_path / "nowhere")


def test_targets_give_the_scene_back():
    """Outputs equal to the targets are read as the scene itself."""
    config = JudgeConfig()
    scene = Scene(96, 96, "snow", (Sticker("dog", 0.3, 0.4, 0.3, ("sunglasses",)), Sticker("key", 0.8, 0.7, 0.25)))
    targets = targets_of(config, [scene])
    maps = judges.Maps(20 * targets.stickers - 10 * targets.stickers.abs() - 5, targets.votes, torch.zeros(1, 12))
    detections = Judge(config)._detections(maps)
    seen = {(c.name, round(c.x, 3), round(c.y, 3), round(c.size, 3)) for c in detections}
    assert seen == {(s.name, round(s.x, 3), round(s.y, 3), round(s.size, 3)) for s in truth(scene).objects}


def test_detections_that_exclude_each_other():
    dog, fox = Sighting("dog", 0.5, 0.5, 0.4), Sighting("fox", 0.52, 0.5, 0.4)
    hat = dataclasses.replace(fox, name="hat")
    assert judges._exclusive(dog, fox, (1, 1)) and not judges._exclusive(dog, fox, (15, 1))
    assert not judges._exclusive(dog, hat, (1, 1)) and judges._exclusive(hat, hat, (1, 1))


def test_a_step_lowers_the_loss_of_its_batch():
    training = Training(Plan(batch=2, warmup=1))
    pixels, targets = batch_of(training.judge.config, training.plan, 0)
    before = training.advance()
    after = loss_of(training.judge.config, training.judge(pixels), targets)
    assert after.item() < before


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path):
    whole = train(SMALL, tmp_path / "whole", tmp_path / "out")
    part = Training(SMALL)
    part.advance()
    (tmp_path / "part").mkdir()
    part.save(tmp_path / "part" / "checkpoint.pt")
    resumed = train(SMALL, tmp_path / "part", tmp_path / "out")
    for one, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other)
