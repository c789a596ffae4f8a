"""Compiled passes: the tiny model's texts, boxes and pictures as without."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

import seedx
from seedx.checkpoint.placement import placement
from seedx.errors import SeedxError
from seedx.inference.engine import Request
from seedx.inference.events import Answer, EndEvent
from seedx.inference.settings import Settings
from seedx_stickers import tasks
from seedx_stickers.scenes import render

QUESTIONS = (
    "what is on the left?",
    "what is in the picture?",
    "where is the dog? give its box.",
    "how many things are there in this picture, and what are they?",
)


@pytest.fixture(scope="module")
def pictures():
    """Scenes to ask about."""
    return [render(tasks.sample(random.Random(i), "question").scenes[0]) for i in range(len(QUESTIONS))]


@pytest.fixture(scope="module")
def models():
    return seedx.load("tiny"), seedx.load("tiny", compile=True)


def joined_and_left(model, requests):
    """The texts of requests that join one after the other."""
    generation, answers, waiting = model.engine.generation(), {}, list(requests)
    order = []
    for passes in range(400):
        if waiting and passes % 4 == 0:
            (row,) = generation.join([model.engine.row_request(waiting.pop(0))])
            answers[row] = Answer()
            order.append(row)
        for row, event in generation.step():
            answers[row].add(event)
            if isinstance(event, EndEvent):
                generation.leave(row)
        if not waiting and not generation.rows:
            return [answers[row].text for row in order]
    raise AssertionError("the replies do not end")


def test_texts_and_boxes_are_the_same(models, pictures):
    plain, compiled = models
    for question, picture in zip(QUESTIONS, pictures, strict=True):
        one, other = (model.chat(question, picture, drawing="forbid", max_new_tokens=40) for model in models)
        assert one.text == other.text and one.boxes == other.boxes and one.text
    requests = [
        Request(plain.engine.open([plain.engine.turn(question, picture)]), Settings(max_new_tokens=40), "forbid")
        for question, picture in zip(QUESTIONS, pictures, strict=True)
    ]
    assert joined_and_left(plain, requests) == joined_and_left(compiled, requests)


def test_sessions_and_drawings_are_the_same(models, pictures):
    sessions = [model.session() for model in models]
    for text, images, drawing in (
        ("what is on the right?", pictures[:1], "forbid"),
        ("draw a dog beside a red car", [], "force"),
    ):
        one, other = (session.send(text, images, drawing=drawing, max_new_tokens=150) for session in sessions)
        assert one.text == other.text and len(one.images) == len(other.images) == (drawing == "force")
        for a, b in zip(one.images, other.images, strict=True):
            difference = np.asarray(a, np.float32) - np.asarray(b, np.float32)
            assert np.abs(difference).mean() < 1


def test_passes_of_one_token_are_compiled_once_for_one_row(models, pictures):
    compiled = models[1]
    compiled.chat(QUESTIONS[0], pictures[0], drawing="forbid", max_new_tokens=5)
    with torch.compiler.set_stance("fail_on_recompile"):
        compiled.chat(QUESTIONS[1], pictures[1], drawing="forbid", max_new_tokens=40)


def test_what_cannot_be_compiled_is_refused(tmp_path, monkeypatch):
    with pytest.raises(SeedxError, match="neither quantised nor offloaded"):
        seedx.load("tiny", compile=True, memory=placement("cpu"))
    with pytest.raises(SeedxError, match="can't switch adapters"):
        seedx.load("tiny", compile=True, adapter=tmp_path)
    with pytest.raises(SeedxError, match="cache is dynamic, static"):
        seedx.load("tiny", cache="fixed")
    monkeypatch.setattr("seedx.engines.compiled.shutil.which", lambda _: None)
    with pytest.raises(SeedxError, match="C\\+\\+ compiler"):
        seedx.load("tiny", compile=True)
