"""The loss of a global batch is the same in any number of pieces."""

import dataclasses

import pytest
import torch

from seedx.batch import Batch
from seedx.model.seedx import SeedX
from seedx.train.engine.activation_checkpoint import prepare_blocks
from seedx.train.engine.gradients import accumulate
from seedx.train.engine.parallel import World, optimizer_parameters
from seedx.train.recipe import Recipe
from seedx.train.stages.base import rows_of
from small import SMALL

ROWS, LENGTH = 8, 24
RECIPE = Recipe(name="small", stage="language", global_batch_size=ROWS, bf16=False)


class Rows:
    """What of a language stage the gradient needs: eight rows with 1 to 15 words to learn, some with a picture."""

    def __init__(self):
        self.weights = {"text": 1.0, "image": 6.0}
        torch.manual_seed(0)
        self.model = SeedX(SMALL)

    def rows(self):
        torch.manual_seed(1)
        ids = torch.randint(3, 900, (ROWS, LENGTH))
        labels = torch.where(torch.arange(LENGTH) < 1 + 2 * torch.arange(ROWS)[:, None], ids, -100)
        read, draw = torch.zeros(ROWS, LENGTH, dtype=torch.bool), torch.zeros(ROWS, LENGTH, dtype=torch.bool)
        read[:, 1:5], draw[::2, -5:-1] = True, True
        return [self.row(ids, labels, read, draw, i) for i in range(ROWS)]

    def row(self, ids, labels, read, draw, i):
        drawn = torch.randn(int(draw[i].any()), 3, 28, 28)
        positions = torch.arange(LENGTH)[None]
        pixels = torch.randn(1, 3, 28, 28)
        return Batch(ids[i, None], labels[i, None], positions, read[i, None], draw[i, None], pixels, None, drawn)

    def counts(self, batch):
        features = SMALL.vision.pooled * SMALL.vision.output_dim
        return {"text": int((batch.labels[:, 1:] != -100).sum()), "image": len(batch.targets) * features}

    def losses(self, batch):
        return self.model(batch).sums


def joined(rows):
    values = {f.name: [getattr(row, f.name) for row in rows] for f in dataclasses.fields(Batch)}
    return Batch(**{name: None if tensors[0] is None else torch.cat(tensors) for name, tensors in values.items()})


def gradients(pieces, recipe=RECIPE, stage=None):
    stage = stage or Rows()
    size = ROWS // pieces
    rows = stage.rows()
    values, _ = accumulate(stage, [joined(rows[i : i + size]) for i in range(0, ROWS, size)], recipe, World())
    return values["loss"], {name: p.grad for name, p in optimizer_parameters(stage.model).items() if p.grad is not None}


@pytest.fixture(scope="module")
def at_once():
    return gradients(1)


@pytest.mark.parametrize("pieces", [2, 4, 8])
def test_one_batch_of_eight_is_two_of_four_is_four_of_two(at_once, pieces):
    loss, expected = at_once
    found_loss, found = gradients(pieces)
    assert found_loss == pytest.approx(loss, rel=1e-6)
    assert found.keys() == expected.keys() and "output_resampler.query" in found
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


def test_it_is_no_mean_of_means(at_once):
    """What the pieces' own means would give is far off, since they have 1 to 15 words."""
    stage = Rows()
    alone = [accumulate(stage, [row], RECIPE, World())[0]["loss"] for row in stage.rows()]
    assert abs(sum(alone) / ROWS - at_once[0]) > 1e-3 * at_once[0]


def test_activations_computed_again_give_the_same_gradients(at_once):
    recipe = dataclasses.replace(RECIPE, activation_checkpointing=True)
    stage = Rows()
    names = list(stage.model.state_dict())
    prepare_blocks(stage.model, recipe)
    assert list(stage.model.state_dict()) == names
    loss, found = gradients(2, recipe, stage)
    assert loss == pytest.approx(at_once[0], rel=1e-6)
    for name, gradient in at_once[1].items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True])
def test_compiled_blocks_serve_rows_of_any_documents(checkpointing):
    """The compiler's front end alone: no C++ compiler is needed, and what it would be given is what counts."""
    plain, compiled = Rows(), Rows()
    prepare_blocks(compiled.model, dataclasses.replace(RECIPE, compile=True, activation_checkpointing=checkpointing))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    graphs = []
    for each in (8, 6, 5):  # tokens of a document
        losses = []
        for stage in (plain, compiled):
            batch = joined(stage.rows())
            batch.position_ids = batch.position_ids % each
            with torch.compiler.set_stance("default", force_backend="eager"):
                losses.append(accumulate(stage, [batch], RECIPE, World())[0]["loss"])
        assert losses[1] == pytest.approx(losses[0], rel=1e-6)
        graphs.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    assert 0 < graphs[0] == graphs[1] == graphs[2]
    found, expected = optimizer_parameters(compiled.model), optimizer_parameters(plain.model)
    for name, parameter in expected.items():
        if parameter.grad is not None:
            torch.testing.assert_close(found[name].grad, parameter.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_a_part_of_a_batch_is_its_rows():
    batch = Rows().rows()[0]
    assert len(rows_of(batch, 0, 1).input_ids) == 1 and len(rows_of(batch, 1, 2).labels) == 0
    assert rows_of(torch.arange(6), 2, 4).tolist() == [2, 3]
