"""What a recipe chooses for speed and memory changes what is learnt by rounding alone.

Three steps of AdamW on the rows of `test_gradients.py`, against the same without the option. Tolerances, on losses of
about 50 and on the distance that the weights moved:

    activation_checkpointing    losses 1e-6, weights 1e-4    the same operations, run again
    compile                     losses 1e-5, weights 1e-3    fused operations round otherwise
    bf16                        losses 2 %, weights 20 %     8 bits of precision in the products

FSDP and `offload` are in `test_parallel.py`, to 1e-5; `compile`, which takes long, is in `tests/extras`.
"""

import dataclasses

import pytest
import torch
from test_gradients import RECIPE, ROWS, Rows, joined

from seedx.train.engine.gradients import accumulate
from seedx.train.engine.loop import prepare_blocks
from seedx.train.engine.optimizer import build_optimizer
from seedx.train.engine.parallel import World, optimizer_parameters

STEPS = 3


def trained(**options):
    """Losses of each step, and how far every weight moved."""
    recipe = dataclasses.replace(RECIPE, lr=1e-2, eps=1e-3, **options)
    stage = Rows()
    prepare_blocks(stage.model, recipe)
    parameters = optimizer_parameters(stage.model)
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    optim, losses = build_optimizer(stage.model, recipe), []
    for _ in range(STEPS):
        rows = stage.rows()
        half = ROWS // 2
        values, _ = accumulate(stage, [joined(rows[:half]), joined(rows[half:])], recipe, World())
        optim.step()
        optim.zero_grad(set_to_none=True)
        losses.append(values["loss"])
    return losses, torch.cat([(p.detach() - before[name]).flatten() for name, p in parameters.items()])


@pytest.fixture(scope="module")
def plain():
    return trained()


def assert_near(found, expected, loss, weights):
    assert found[0] == pytest.approx(expected[0], rel=loss)
    assert expected[0][-1] < 0.99 * expected[0][0]  # it learns
    assert (found[1] - expected[1]).norm() <= weights * expected[1].norm()


def test_activation_checkpointing(plain):
    assert_near(trained(activation_checkpointing=True), plain, 1e-6, 1e-4)


def test_bf16(plain):
    found = trained(bf16=True)
    assert found[0] != plain[0]
    assert_near(found, plain, 0.02, 0.2)
