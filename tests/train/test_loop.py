"""The loop: schedule, resumption, averages, errors."""

import dataclasses

import pytest
import torch
from torch import nn

from seedx.train.loop import Average, learning_rate, optimiser, train
from seedx.train.recipe import Recipe, load_recipe

RECIPE = Recipe(name="toy", stage="toy", steps=8, lr=0.1, warmup=2, bf16=False, log_every=1, ema=0.9, save_seconds=0)


class Toy:
    """A regression whose data and noise come from the step."""

    def __init__(self, stop_at: int | None = None) -> None:
        torch.manual_seed(1)
        self.model = nn.Linear(3, 2)
        self.stop_at = stop_at

    def batch(self, step):
        if step == self.stop_at:
            raise KeyboardInterrupt
        return torch.randn(4, 3)

    def losses(self, batch):
        return {"loss": (self.model(batch) - batch[:, :2]).square().mean()}

    def save(self, model, folder):
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), folder / "toy.pt")


def test_the_learning_rate_warms_up_and_ends_at_its_floor():
    factors = [learning_rate(RECIPE, step) for step in range(RECIPE.steps)]
    assert factors[:2] == [0.5, 1.0]
    assert factors[-1] == pytest.approx(RECIPE.min_ratio)
    assert factors[1:] == sorted(factors[1:], reverse=True)


def test_a_resumed_run_ends_with_the_same_weights(tmp_path):
    train(Toy(), RECIPE, tmp_path / "whole", tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        train(Toy(stop_at=5), RECIPE, tmp_path / "cut", tmp_path / "b")
    assert not (tmp_path / "b").exists()
    train(Toy(), RECIPE, tmp_path / "cut", tmp_path / "b")
    first, second = torch.load(tmp_path / "a/toy.pt"), torch.load(tmp_path / "b/toy.pt")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_what_is_written_is_the_average(tmp_path):
    stage = Toy()
    train(stage, RECIPE, tmp_path / "run", tmp_path / "out")
    assert not torch.equal(torch.load(tmp_path / "out/toy.pt")["weight"], stage.model.weight)


def test_an_average_moves_slowly_and_leaves_the_model_alone():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = Average(model, decay=0.5)
    nn.init.ones_(model.weight)
    average.update(model, step=1000)
    assert average.apply(model).weight.item() == 0.5
    assert model.weight.item() == 1


def test_vectors_are_not_decayed_and_rates_follow_names():
    recipe = dataclasses.replace(RECIPE, weight_decay=0.3, lr_factors={"0": 0.1})
    groups = optimiser(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), recipe).param_groups
    settings = {(round(group["lr"], 6), group["weight_decay"]) for group in groups}
    assert settings == {(0.01, 0.3), (0.01, 0.0), (0.1, 0.3), (0.1, 0.0)}


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    stage = Toy()
    nn.init.constant_(stage.model.weight, float("nan"))
    with pytest.raises(FloatingPointError, match="step 0 of toy"):
        train(stage, RECIPE, tmp_path / "run", tmp_path / "out")


def test_another_stages_checkpoint_is_refused(tmp_path):
    train(Toy(), RECIPE, tmp_path / "run", tmp_path / "out")
    other = Toy()
    other.model = nn.Sequential(nn.Linear(3, 2))
    with pytest.raises(ValueError, match="other parameters"):
        train(other, RECIPE, tmp_path / "run", tmp_path / "out")


def test_an_unknown_field_suggests_the_nearest(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('name = "a"\nstage = "vae"\nstep = 3\n')
    with pytest.raises(ValueError, match="'step'; did you mean 'steps'"):
        load_recipe(path)
    path.write_text('name = "a"\nstage = "vae"\nsteps = 3\n')
    assert load_recipe(path, lr=0.5).lr == 0.5
    with pytest.raises(ValueError, match="there is no recipe"):
        load_recipe(tmp_path / "none.toml")
