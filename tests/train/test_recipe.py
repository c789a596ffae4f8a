"""Recipes: read, changed by path, held against the one a run began with; mistakes say what to do."""

import dataclasses
import json

import pytest

from seedx.data.shard_reader import Data
from seedx.train.recipe import NOT_LEARNT, Recipe, as_json, differences, overridden, load_recipe

TEXT = """
name = "a"
stage = "language"
steps = 3
betas = [0.9, 0.95]

[options]
start = true

[[data]]
source = "a.tar"
weight = 2

[[data]]
source = "b.jsonl"
format = "edit"
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text(TEXT)
    return file


def test_a_recipe_is_read_with_its_data(path):
    recipe = load_recipe(path)
    assert recipe.data == (Data("a.tar", weight=2), Data("b.jsonl", "edit"))
    assert recipe.betas == (0.9, 0.95) and recipe.options == {"start": True}


def test_any_field_can_be_changed_by_its_path(path):
    changed = {"lr": 0.5, "data.1.weight": 3, "data.0.options.draw": 0.5, "options.start": False, "losses.text": 2}
    recipe = load_recipe(path, **changed)
    assert recipe.lr == 0.5 and recipe.data[1].weight == 3 and recipe.data[0].options == {"draw": 0.5}
    assert recipe.options == {"start": False} and recipe.losses == {"text": 2}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"step": 3}, "'step'; did you mean 'steps'"),
        ({"data.1.wieght": 3}, "'data.1.wieght'; did you mean 'data.1.weight'"),
        ({"data.2.weight": 3}, "data has places 0 to 1, not '2'"),
        ({"name.first": 3}, "name holds 'a'"),
        ({"steps": "ten"}, "steps is a value of type int, not 'ten'"),
        ({"steps": True}, "steps is a value of type int, not True"),
        ({"steps": 0}, "steps is at least 1, not 0"),
        ({"too_long": "keep"}, "too_long is one of 'drop', 'cut', not 'keep'"),
        ({"data": 3}, "data is a list, not 3"),
        ({"losses": [1]}, "losses is a table"),
        ({"data.0.weight": -1}, "weight of the data 'a.tar' must be above 0"),
    ],
)
def test_mistakes_are_explained(path, changed, message):
    with pytest.raises(ValueError, match=message):
        load_recipe(path, **changed)


def test_files_that_are_no_recipes_are_explained(path, tmp_path):
    with pytest.raises(ValueError, match="there is no recipe"):
        load_recipe(tmp_path / "none.toml")
    path.write_text("steps = ")
    with pytest.raises(ValueError, match=r"recipe\.toml is not TOML"):
        load_recipe(path)
    path.write_text("steps = 3")
    with pytest.raises(ValueError, match="has no 'name'"):
        load_recipe(path)


def test_rows_are_dealt_evenly_or_not_at_all():
    recipe = Recipe("a", "b", batch=24, micro=4)
    assert recipe.micro_rows(ranks=3) == 4
    assert dataclasses.replace(recipe, micro=0).micro_rows(ranks=3) == 8
    with pytest.raises(ValueError, match="batch = 24 must be a multiple of the 5 ranks"):
        recipe.micro_rows(ranks=5)
    with pytest.raises(ValueError, match="micro = 4 must divide the 6 rows"):
        recipe.micro_rows(ranks=4)


def test_copies_of_the_model_are_dealt_evenly():
    recipe = Recipe("a", "b", replicas=2)
    assert recipe.shards(ranks=8) == 4 and recipe.shards(ranks=2) == 1
    with pytest.raises(ValueError, match="3 ranks can't hold 2 replicas"):
        recipe.shards(ranks=3)
    with pytest.raises(ValueError, match="replicas is at least 1, not 0"):
        Recipe("a", "b", replicas=0)


def test_changes_are_told_but_for_those_that_change_nothing_learnt(path):
    recipe = load_recipe(path)
    kept = json.loads(json.dumps(as_json(recipe)))
    assert changes(kept, recipe) == []
    assert changes(kept, dataclasses.replace(recipe, workers=2, log_every=7)) == []
    told = changes(kept, dataclasses.replace(recipe, lr=0.5, data=recipe.data[:1]))
    assert told[0] == "lr: 0.001 -> 0.5" and told[1].startswith("data: ")
    assert set(FREE) < {field.name for field in dataclasses.fields(Recipe)}


def test_weights_of_losses_that_are_not_there_are_an_error():
    assert chosen({"text": 1.0, "image": 6.0}, {"image": 2.0}, "loss") == {"text": 1.0, "image": 2.0}
    with pytest.raises(ValueError, match="unknown loss 'imag'; did you mean 'image'"):
        chosen({"image": 6.0}, {"imag": 1.0}, "loss")
