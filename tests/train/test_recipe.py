"""Recipes: read, overridden by path, compared with the one that a run started with; mistakes say what to do."""

import dataclasses
import json

import numpy as np
import pytest

from seedx.data.shard_reader import Data
from seedx.errors import SeedxError
from seedx.train.recipe import NOT_LEARNT, Recipe, load_recipe, overridden
from seedx.train.recipe_changes import as_json, differences

TEXT = """
name = "a"
stage = "language"
steps = 3
betas = [0.9, 0.95]

[options]
corpus = "a.b"

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
    assert recipe.betas == (0.9, 0.95) and recipe.options == {"corpus": "a.b"}


def test_recipes_share_a_file_that_they_include(path, tmp_path):
    (tmp_path / "shared.toml").write_text('seed = 5\nlr = 0.5\n\n[[data]]\nsource = "shared.tar"\n')
    path.write_text('include = "shared.toml"\n' + TEXT)
    recipe, alone = load_recipe(path, **{"data.0.weight": 3}), TEXT
    assert recipe.data == (Data("shared.tar", weight=3), Data("a.tar", weight=2), Data("b.jsonl", "edit"))
    assert recipe.seed == 5 and recipe.steps == load_recipe(path).steps
    path.write_text(
        'include = ["shared.toml"]\n' + alone.partition("[[data]]")[0].replace("[options]", "lr = 0.25\n[options]")
    )
    assert load_recipe(path).data == (Data("shared.tar"),) and load_recipe(path).lr == 0.25


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("include = 3", "include is a file beside the recipe, or a list of them, not 3"),
        ('include = ["gone.toml"]', "there is no recipe at .*gone.toml"),
        ('include = "broken.toml"', "broken.toml is not TOML"),
        ('include = "recipe.toml"', "is included itself, and can't include others"),
    ],
)
def test_mistakes_of_included_files_are_explained(path, line, message, tmp_path):
    (tmp_path / "broken.toml").write_text("a = [")
    path.write_text(f"{line}\n{TEXT}")
    with pytest.raises(SeedxError, match=message):
        load_recipe(path)


def test_any_field_can_be_changed_by_its_path(path):
    changed = {"lr": 0.5, "data.1.weight": 3, "data.0.options.draw": 0.5, "options.corpus": "c.d", "losses.text": 2}
    recipe = load_recipe(path, **changed)
    assert recipe.lr == 0.5 and recipe.data[1].weight == 3 and recipe.data[0].options == {"draw": 0.5}
    assert recipe.options == {"corpus": "c.d"} and recipe.losses == {"text": 2}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"step": 3}, "'step'; did you mean 'steps'"),
        ({"data.1.wieght": 3}, "'data.1.wieght'; did you mean 'data.1.weight'"),
        ({"data.2.weight": 3}, "data has the indices 0 to 1, not '2'"),
        ({"name.first": 3}, "name holds 'a'"),
        ({"steps": "ten"}, "steps must be of type int, not 'ten'"),
        ({"steps": True}, "steps must be of type int, not True"),
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"too_long": "keep"}, "too_long must be one of 'drop', 'truncate', not 'keep'"),
        ({"data": 3}, "data must be a list, not 3"),
        ({"losses": [1]}, "losses must be a table"),
        ({"lr": float("nan")}, "lr must be a finite number, not nan"),
        ({"lr": -1}, "lr must be at least 0"),
        ({"lr": "nan"}, "lr must be of type float, not 'nan'"),
        ({"max_grad_norm": float("inf")}, "max_grad_norm must be a finite number"),
        ({"betas": [0.9]}, "betas are two numbers"),
        ({"betas": [0.9, 1.0]}, "betas are two numbers"),
        ({"betas": [0.9, "x"]}, "betas.1 must be of type float"),
        ({"micro_batch_size": -1}, "micro_batch_size must be at least 0"),
        ({"ema_decay": 1.5}, "ema_decay must be at most 1"),
        ({"workers": -1}, "workers must be at least 0"),
        ({"losses.text": float("nan")}, "losses.text must be a finite number"),
        ({"options.ratio": float("inf")}, "options.ratio must be a finite number"),
        ({"options.x": b"x"}, "options.x must be a text, a number, a list or a table"),
        ({"data.0.options.x": [np.bool_(True)]}, "must be a text, a number, a list or a table"),
        ({"trained": [1]}, "trained.0 must be of type str"),
        ({"data": [3]}, "data must be a list of tables"),
        ({"data.0.source": 3}, "source, format and label of data are texts"),
        ({"data.0.weight": float("nan")}, "weight of the data 'a.tar' must be a finite number"),
        ({"data.0.limit": 1.5}, "limit of the data 'a.tar' must be of type int"),
        ({"data.0.options.punsafe": float("nan")}, "must be a finite number"),
        ({"name": "../a"}, "must be the name of one folder"),
        ({"name": "/tmp/a"}, "must be the name of one folder"),
        ({"name": ".."}, "must be the name of one folder"),
        ({"name": ""}, "must be the name of one folder"),
        ({"name": "a\0"}, "must be the name of one folder"),
        ({"name": "a\\b"}, "must be the name of one folder"),
        ({"name": "x" * 300}, "must be the name of one folder"),
        ({"validation": 1 + 2j}, "validation must be a table"),
        ({"validation": [3]}, "validation must be a table"),
        ({"prompts": [{"text": "Who?"}]}, "prompts are answered every sample_every steps"),
        ({"prompts": [{"text": " "}], "sample_every": 5}, "prompts need a text to ask"),
        ({"prompts": [{"text": "Who?", "images": [3]}], "sample_every": 5}, "images of a prompt are a list of files"),
        ({"data.0.weight": -1}, "weight of the data 'a.tar' must be above 0"),
    ],
)
def test_mistakes_are_explained(path, changed, message):
    with pytest.raises(ValueError, match=message):
        load_recipe(path, **changed)


def test_numpys_integers_are_integers(path):
    recipe = load_recipe(path, steps=np.int64(7), lr=np.float32(0.5))
    assert (recipe.steps, recipe.lr) == (7, 0.5) and type(recipe.steps) is int
    assert json.loads(json.dumps(as_json(recipe)))["steps"] == 7
    recipe = load_recipe(path, **{"data.0.weight": np.float32(0.5), "data.0.limit": np.int64(3)})
    data = json.loads(json.dumps(as_json(recipe)))["data"][0]
    assert (data["weight"], data["limit"]) == (0.5, 3)


def test_files_that_are_no_recipes_are_explained(path, tmp_path):
    with pytest.raises(ValueError, match="there is no recipe"):
        load_recipe(tmp_path / "none.toml")
    path.write_text("steps = ")
    with pytest.raises(ValueError, match=r"recipe\.toml is not TOML"):
        load_recipe(path)
    path.write_bytes(b"name = '\xff'")
    with pytest.raises(ValueError, match=r"recipe\.toml is not TOML: 'utf-8' codec"):
        load_recipe(path)
    path.write_text("steps = " + "9" * 5000)  # more digits than Python reads
    with pytest.raises(ValueError, match=r"recipe\.toml is not TOML"):
        load_recipe(path)
    path.write_text("steps = 3")
    with pytest.raises(ValueError, match="has no 'name'"):
        load_recipe(path)


def test_ranks_and_micro_batches_divide_the_global_batch():
    recipe = Recipe("a", "b", global_batch_size=24, micro_batch_size=4)
    assert recipe.micro_rows(ranks=3) == 4
    assert dataclasses.replace(recipe, micro_batch_size=0).micro_rows(ranks=3) == 8
    with pytest.raises(ValueError, match="global_batch_size = 24 must be a multiple of the 5 ranks"):
        recipe.micro_rows(ranks=5)
    with pytest.raises(ValueError, match="micro_batch_size = 4 must divide the 6 rows"):
        recipe.micro_rows(ranks=4)


def test_replicas_divide_the_ranks():
    recipe = Recipe("a", "b", replicas=2)
    assert recipe.shards(ranks=8) == 4 and recipe.shards(ranks=2) == 1
    with pytest.raises(ValueError, match="3 ranks can't hold 2 replicas"):
        recipe.shards(ranks=3)
    with pytest.raises(ValueError, match="replicas must be at least 1, not 0"):
        Recipe("a", "b", replicas=0)


def test_differences_are_those_that_change_what_is_learnt(path):
    recipe = load_recipe(path)
    kept = json.loads(json.dumps(as_json(recipe)))
    assert differences(kept, recipe) == []
    assert differences(kept, dataclasses.replace(recipe, workers=2, log_every=7)) == []
    told = differences(kept, dataclasses.replace(recipe, lr=0.5, data=recipe.data[:1]))
    assert told[0] == "lr: 0.001 -> 0.5" and told[1].startswith("data: ")
    assert set(NOT_LEARNT) < {field.name for field in dataclasses.fields(Recipe)}


def test_weights_of_losses_that_are_not_there_are_an_error():
    assert overridden({"text": 1.0, "image": 6.0}, {"image": 2.0}, "loss") == {"text": 1.0, "image": 2.0}
    with pytest.raises(ValueError, match="unknown loss 'imag'; did you mean 'image'"):
        overridden({"image": 6.0}, {"imag": 1.0}, "loss")
