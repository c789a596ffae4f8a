"""What is trained follows from patterns, and a pattern that fits nothing is an error."""

from __future__ import annotations

import pytest
from torch import nn

from seedx.train.engine import trainable


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.key = nn.Linear(3, 2)
        self.value = nn.Linear(3, 2, bias=False)
        self.norm = nn.LayerNorm(2)


def test_only_what_fits_is_trained() -> None:
    model = Model()
    names = trainable.apply(model, ["*.weight"])
    assert names == ["key.weight", "value.weight", "norm.weight"]
    assert not model.key.bias.requires_grad
    assert trainable.count(model) == 6 + 6 + 2


def test_patterns_replace_what_was_trained_before() -> None:
    model = Model()
    trainable.apply(model, ["key.*"])
    assert trainable.apply(model, ["value.*"]) == ["value.weight"] == list(trainable.trained(model))


def test_a_pattern_that_fits_nothing_is_an_error_that_names_the_nearest() -> None:
    model = Model()
    with pytest.raises(ValueError, match=r"'keys\.weight' matches no parameter; the nearest name is 'key\.weight'"):
        trainable.apply(model, ["norm.*", "keys.weight"])
    assert trainable.count(model) == sum(parameter.numel() for parameter in model.parameters())  # nothing was changed


def test_no_pattern_is_an_error() -> None:
    with pytest.raises(ValueError, match="no parameter would be trained"):
        trainable.apply(Model(), [])
