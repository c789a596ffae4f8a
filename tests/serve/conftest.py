"""A served model for all tests of the server."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator

import PIL.Image
import pytest
from serving import Running, started

import seedx
from seedx.inference.pipeline import Pipeline
from seedx_stickers import scenes


@pytest.fixture(scope="package")
def model() -> Pipeline:
    """The bundled model, which draws in fewer steps."""
    pipeline = seedx.load("tiny")
    detokenizer = dataclasses.replace(pipeline.model.config.detokenizer, steps=4)
    pipeline.model.config = dataclasses.replace(pipeline.model.config, detokenizer=detokenizer)
    pipeline.model.detokenizer.config = detokenizer
    return pipeline


@pytest.fixture(scope="package")
def running(model: Pipeline) -> Iterator[Running]:
    yield from started(model)


@pytest.fixture(scope="package")
def picture() -> PIL.Image.Image:
    return scenes.sample(random.Random(3), count=2, unseen=False).render()
