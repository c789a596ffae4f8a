"""The tiny model in the package: it is whole and small, and does what it is for. `seedx eval` measures how well."""

import random
from pathlib import Path

import numpy as np
import pytest

import seedx
from seedx_stickers import bundled
from seedx_stickers.evaluation import evaluate_stickers
from seedx_stickers.scenes import render, sample

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def model():
    return seedx.load("tiny")


def test_the_weights_are_small():
    files = list(bundled.tiny().glob("*.safetensors"))
    assert len(files) == 5 and sum(file.stat().st_size for file in files) < 60e6


def test_it_names_backgrounds(model):
    scenes = [sample(random.Random(f"bundled/{i}")) for i in range(16)]
    replies = model.chat_batch([("What is the background?", [render(scene)]) for scene in scenes])
    right = sum(reply.text == scene.background for reply, scene in zip(replies, scenes, strict=True))
    assert right >= 14


def test_it_draws_the_background_that_it_is_told(model):
    scores = evaluate_stickers(model, seed=1, n=8, abilities=["draw"])
    assert scores["draw"]["background"] >= 0.8


def test_a_seed_draws_the_same_picture_bit_by_bit(model):
    first, again, other = (np.asarray(model.draw("a cat on the beach", seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.shape == (96, 96, 3)


def test_a_condition_keeps_the_picture(model):
    scores = evaluate_stickers(model, seed=1, n=8, abilities=["reconstruct"])
    assert scores["reconstruct"]["gain"] > 4  # dB


def test_six_turns_of_one_conversation(model):
    turns = (EXAMPLES / "six_turns.txt").read_text().splitlines()
    chat = model.session()
    replies = [chat.send(turn) for turn in turns]
    assert [len(reply.images) for reply in replies] == [1, 1, 1, 0, 0, 4]
    assert [box.label for box in replies[3].boxes] == ["cat"] and replies[4].text == "a tree"
    assert [len(replies[5].frames), replies[5].text.count("cat")] == [4, 4]


def test_a_story_has_a_hero_and_five_pictures(model):
    told = model.story("a cat with a hat goes to the beach", frames=5)
    assert len(told) == 5 and all("cat" in text for text, _ in told)


def test_a_slide_has_a_title_and_a_picture(model, tmp_path):
    slide = model.slide("a slide about a picnic for a dog")
    assert slide.title and len(slide.images) == 1
    slide.to_pptx(tmp_path / "slide.pptx")
    assert (tmp_path / "slide.pptx").stat().st_size


def test_two_pictures_become_one(model):
    reply = model.chat("put this hat on the cat", [EXAMPLES / "hat.png", EXAMPLES / "meadow.png"])
    assert len(reply.images) == 1 and reply.images[0].size == (96, 96)
