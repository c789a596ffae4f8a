"""The running batch of the server over llama.cpp: rows join and leave, and each reply is the one alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from replies import requests as known
from running_batch import images_of, text_of, together, written
from seedx.inference.engine import Request
from seedx.inference.settings import Settings
from seedx.serve.metrics import Metrics
from seedx.serve.scheduler import Scheduler
from seedx.serve.settings import Batching

SMALL = Batching(max_rows=3, max_drawn=2, prompt_tokens=60, max_tiles=4, cache_tokens=2000)


@pytest.mark.slow
def test_replies_of_llama_cpp_in_a_running_batch(by_llama):
    engine = by_llama.engine
    questions = [
        Request([engine.turn(prompt, [known.EXAMPLES / file for file in files])], drawing="forbid")
        for prompt, *files in known.CHAT[:9]
    ]
    drawings = [
        Request([engine.turn(prompt, verb="draw")], Settings(seed=seed, steps=4), "force", one_image=True)
        for seed, (prompt, _) in enumerate(known.DRAW[:4])
    ]
    asked = (
        [request for pair in zip(questions, drawings, strict=False) for request in pair] + questions[4:] + questions[:2]
    )
    alone = [engine.reply([request])[0] for request in asked]
    scheduler = Scheduler(engine, SMALL, 64, Metrics())
    try:
        found = together(scheduler, asked)
    finally:
        scheduler.stop()
    assert [text_of(events) for events in found] == [written(reply) for reply in alone]
    assert sum(len(reply.images) for reply in alone) == 4
    for events, reply in zip(found, alone, strict=True):
        for event, image in zip(images_of(events), reply.images, strict=True):
            one, other = (torch.tensor(np.asarray(each, np.float32)).flatten() for each in (event.image, image))
            assert torch.nn.functional.cosine_similarity(one, other, dim=0) > 0.9999
            assert (one - other).square().mean().sqrt() < 1
