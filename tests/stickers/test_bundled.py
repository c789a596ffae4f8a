"""The bundled model is complete, small and trained.

Its replies are compared with the recorded ones by tests/test_replies.py, and `seedx eval` measures its abilities.
"""

import random

import numpy as np
import pytest

import seedx
from seedx_stickers import bundled
from seedx_stickers.evaluation import evaluate_stickers
from seedx_stickers.scenes import render, sample


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


def test_it_draws_the_background_of_the_prompt(model):
    scores = evaluate_stickers(model, seed=1, n=8, abilities=["draw"])
    assert scores["draw"]["background"] >= 0.8


def test_a_seed_determines_the_picture_bit_by_bit(model):
    first, again, other = (np.asarray(model.draw("a cat on the beach", seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.shape == (96, 96, 3)


@pytest.mark.slow
def test_a_condition_improves_the_reconstruction(model):
    scores = evaluate_stickers(model, seed=1, n=8, abilities=["reconstruct"])
    assert scores["reconstruct"]["gain"] > 4  # dB
