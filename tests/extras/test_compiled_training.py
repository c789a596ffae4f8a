"""Compiled blocks learn what plain ones do, by the compiler that a run takes: on a CPU it needs a C++ compiler."""

import sys
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).parents[1] / "train"))
import test_options


def test_three_steps_of_compiled_blocks():
    torch._dynamo.reset()
    plain = test_options.trained()
    torch._dynamo.utils.counters.clear()
    compiled = test_options.trained(compile=True)
    assert torch._dynamo.utils.counters["inductor"]
    test_options.assert_near(compiled, plain, 1e-5, 1e-3)
