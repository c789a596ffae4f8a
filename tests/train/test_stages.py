"""Every stage of the tiny model from its own recipe, cut to two steps of a model with one layer."""

import dataclasses
import random
from pathlib import Path

import numpy as np
import pytest

from seedx import checkpoint
from seedx.config import PRESETS, TINY
from seedx.stickers.scenes import Scene, Sticker
from seedx.train.bundle import bundle
from seedx.train.recipe import load_recipe
from seedx.train.stages import STAGES, run
from seedx.train.vision import INDEX, PARTS, sample_tile, tile_label

RECIPES = sorted((Path(__file__).parents[2] / "recipes/tiny").glob("*.toml"))


@pytest.fixture
def small(monkeypatch):
    config = dataclasses.replace(
        TINY,
        vision=dataclasses.replace(TINY.vision, layers=1),
        language=dataclasses.replace(TINY.language, layers=1),
        detokenizer=dataclasses.replace(TINY.detokenizer, depth=1),
    )
    monkeypatch.setitem(PRESETS, "tiny", config)


@pytest.mark.slow
def test_the_stages_in_order_make_a_model(small, tmp_path):
    for path in RECIPES:
        recipe = load_recipe(path)
        options = recipe.options | {"scenes": 4, "edits": 4}
        run(path, tmp_path, steps=2, warmup=1, batch=2, options=options)
        assert (tmp_path / "runs" / recipe.name / "log.jsonl").read_text()
    bundle(tmp_path, tmp_path / "model")
    assert checkpoint.load(tmp_path / "model").config.language == PRESETS["tiny"].language


def test_every_recipe_names_a_stage():
    assert {load_recipe(path).stage for path in RECIPES} == set(STAGES)


def test_an_unknown_stage_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="there is no stage 'nope'"):
        run(RECIPES[0], tmp_path, stage="nope")


def test_a_tile_is_labelled_by_what_is_under_its_parts():
    scene = Scene(192, 96, "blue", (Sticker("red heart", 0.75, 0.5, 0.6),))
    image, names, corners = tile_label(scene, (0.5, 0, 1, 1))
    assert image.shape == (96, 96, 3) and names.shape == (PARTS, PARTS)
    assert names[PARTS // 2, PARTS // 2] == INDEX["red heart"]
    assert names[0, 0] == INDEX["blue"] and (corners[0, 0] == [0, 0, 1, 1]).all()
    x0, y0, x1, y1 = corners[PARTS // 2, PARTS // 2]  # of the tile, not of the scene
    assert abs((x0 + x1) / 2 - 0.5) < 0.02 and abs((y0 + y1) / 2 - 0.5) < 0.02 and 0.5 < x1 - x0 < 0.62
    _, other, _ = tile_label(scene, (0, 0, 0.5, 1))
    assert (other == INDEX["blue"]).all()


def test_tiles_are_the_same_for_the_same_seed():
    first, second = (sample_tile(random.Random(5)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
