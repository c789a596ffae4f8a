"""Old names of recipes, logs and checkpoints: still read, with a warning that names the new one."""

import dataclasses
import json
import warnings

import pytest
import torch
from toy import RECIPE, Toy

from seedx.deprecated import RENAMED
from seedx.train.engine import checkpoint_files
from seedx.train.engine.loop import train
from seedx.train.engine.metrics import read_log
from seedx.train.old_recipes import upgrade_changes, upgrade_recipe
from seedx.train.recipe import Recipe, load_recipe
from seedx.train.recipe_changes import as_json, differences

VALUES = {bool: True, int: 7, float: 0.25, str: "tiny"}


def write(tmp_path, *lines):
    path = tmp_path / "recipe.toml"
    path.write_text("\n".join(['name = "a"', 'stage = "language"', *lines]))
    return path


@pytest.mark.parametrize(("old", "new"), RENAMED["recipe"].items())
def test_every_old_key_is_read_from_a_recipe_and_a_command(tmp_path, old, new):
    value = VALUES[type(getattr(Recipe("a", "b"), new))]
    for lines, changes in (([f"{old} = {json.dumps(value)}"], {}), ([], {old: value})):
        with pytest.warns(FutureWarning, match=f"{old} is now {new}"):
            recipe = load_recipe(write(tmp_path, *lines), **changes)
        assert getattr(recipe, new) == value


def test_old_options_and_values_are_read(tmp_path):
    path = write(tmp_path, 'too_long = "cut"', "[options]", "guessed = 0.5", "start = true")
    with pytest.warns(FutureWarning) as caught:
        recipe = load_recipe(path)
    assert recipe.too_long == "truncate" and recipe.options == {"predicted_feature_ratio": 0.5}
    told = [str(warning.message) for warning in caught]
    assert len(told) == 3 and all(text.startswith(str(path)) for text in told)
    for renamed in ("too_long = 'cut' is now 'truncate'", "guessed is now predicted_feature_ratio", "start is now"):
        assert any(renamed in text for text in told), renamed
    with pytest.warns(FutureWarning, match="guessed is now"):
        assert upgrade_changes({"options.guessed": 0.1}) == {"options.predicted_feature_ratio": 0.1}


@pytest.mark.parametrize(
    ("old", "init_from"),
    [
        ({"options": {"start": True}}, ""),
        ({"options": {"start": "vision"}}, "run:vision"),
        ({"model": "tiny"}, "tiny"),
        ({"model": "tiny", "options": {"start": True}}, "tiny"),
        ({"model": "", "options": {}}, None),  # as if it were left out
    ],
)
def test_the_start_of_a_stage_was_told_by_a_model_and_an_option(old, init_from):
    with pytest.warns(FutureWarning, match="is now init_from"):
        new = upgrade_recipe(old, "a recipe")
    assert new.get("init_from") == init_from and not new.get("options")


def test_a_start_by_the_command_overrides_the_recipe(tmp_path):
    path = write(tmp_path, 'init_from = "scratch"')
    with pytest.warns(FutureWarning, match="options.start is now init_from = ''"):
        assert load_recipe(path, **{"options.start": True}).init_from == ""
        path = write(tmp_path, 'init_from = "tiny"')
        assert load_recipe(path, **{"options.start": True}).init_from == "tiny"  # where the weights are
        assert load_recipe(path, init_from="").init_from == ""


def test_old_format_options_are_read(tmp_path):
    path = write(tmp_path, "[[data]]", 'source = "a.tar"', "options = { min_ratio = 0.5 }")
    with pytest.warns(FutureWarning, match="data.0: min_ratio is now min_aspect_ratio"):
        assert load_recipe(path).data[0].options == {"min_aspect_ratio": 0.5}


def test_both_names_of_a_key_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="batch is the old name of global_batch_size: give one of them"):
        load_recipe(write(tmp_path, "batch = 2", "global_batch_size = 2"))


def test_new_names_are_no_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_recipe(write(tmp_path, 'too_long = "truncate"', 'init_from = "tiny"'), steps=3)


def test_a_run_of_an_old_recipe_has_not_changed():
    recipe = Recipe("a", "language", global_batch_size=8, too_long="truncate")
    back = {new: old for old, new in RENAMED["recipe"].items()}
    old = {back.get(name, name): value for name, value in as_json(recipe).items()}
    old |= {"too_long": "cut", "options": {"start": True}}
    with pytest.warns(FutureWarning):
        assert differences(upgrade_recipe(old, "recipe.json"), recipe) == []
        changed = differences(upgrade_recipe(old | {"batch": 4}, "recipe.json"), recipe)
    assert changed == ["global_batch_size: 4 -> 8"]


def test_an_old_log_is_read_under_the_new_names(tmp_path):
    old = {"step": 3, "loss": 1.0, "bad_steps": 2, "faults": {"filtered": 1}, "mfu": 0.4}
    new = {"step": 3, "loss": 1.0, "skipped_steps": 2, "sample_errors": {"filtered": 1}, "utilization": 0.4}
    both = {"step": 4, "mfu": 0.3, "utilization": 0.4}  # against the vendor's peak, and the measured one
    file = tmp_path / "log.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in (old, new, both)))
    assert read_log(file) == [new, new, both]


def test_a_run_resumes_from_an_old_checkpoint(tmp_path):
    """A checkpoint as it was written before: other names in rest.pt, whose checksum is in the manifest."""
    half = dataclasses.replace(RECIPE, steps=4)
    train(Toy(half), half, tmp_path / "run", tmp_path / "out")
    path = checkpoint_files.path(tmp_path / "run/checkpoints", 4)
    rest = torch.load(path / checkpoint_files.REST, weights_only=True)
    back = {new: old for old, new in RENAMED["checkpoint"].items()}
    torch.save({back.get(name, name): value for name, value in rest.items()}, path / checkpoint_files.REST)
    manifest = json.loads((path / checkpoint_files.MANIFEST).read_text())
    manifest["files"] |= {
        name: one for name, one in checkpoint_files.checksums(path, 0).items() if name in manifest["files"]
    }
    (path / checkpoint_files.MANIFEST).write_text(json.dumps(manifest))
    assert train(Toy(), RECIPE, tmp_path / "run", tmp_path / "out")
    assert [record["step"] for record in read_log(tmp_path / "run/log.jsonl")] == list(range(RECIPE.steps))
