"""A served model for all tests of the server."""

from __future__ import annotations

import random
from collections.abc import Iterator

import PIL.Image
import pytest
from serving import Running, started

from seedx.inference.pipeline import Pipeline
from seedx_stickers import scenes
from small import load_with_steps


@pytest.fixture(scope="package")
def model() -> Pipeline:
    return load_with_steps(steps=4)


@pytest.fixture(scope="package")
def running(model: Pipeline) -> Iterator[Running]:
    yield from started(model)


@pytest.fixture(scope="package")
def picture() -> PIL.Image.Image:
    return scenes.sample(random.Random(3), count=2, unseen=False).render()
