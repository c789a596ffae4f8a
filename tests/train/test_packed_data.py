"""Steps that are fetched ahead are the same ones, and an error is raised at the step that it belongs to."""

import threading

import pytest
from test_stages import LANGUAGE, SMALL, recipe_of

from seedx.train.recipe import load_recipe
from seedx.train.run import build
from seedx.train.stages.packed_data import prefetched


def test_the_next_item_is_fetched_while_one_is_used():
    fetched = [threading.Event() for _ in range(3)]

    def items():
        for number, event in enumerate(fetched):
            event.set()
            yield number

    found = []
    for item in prefetched(items()):
        assert item == 2 or fetched[item + 1].wait(timeout=60)
        found.append(item)
    assert found == [0, 1, 2]


def test_a_failure_comes_in_its_turn():
    def items():
        yield 1
        raise ValueError("the second is broken")

    given = prefetched(items())
    assert next(given) == 1
    with pytest.raises(ValueError, match="second is broken"):
        next(given)


def test_a_worker_and_a_thread_change_no_step(tiny_folder, tmp_path):
    steps = []
    for workers in (0, 1):
        recipe = load_recipe(recipe_of(tmp_path, LANGUAGE), **SMALL, workers=workers, init_from=str(tiny_folder))
        batches = build(recipe, tmp_path).batches(0, None, 0, 1)
        steps.append([(step.micro[0].input_ids.tolist(), step.state) for step in (next(batches), next(batches))])
        batches.close()
    assert steps[0] == steps[1]
