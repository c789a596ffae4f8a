"""How often the decode loop waits for the device: once a pass, for the tokens."""

from __future__ import annotations

import pytest
import torch
from torch.overrides import TorchFunctionMode

from seedx.engines.torch_runner import TorchRunner
from seedx.inference.generate import Generation
from seedx.inference.rows import Prompt, RowRequest, SamplingSettings

READS = {"tolist", "item", "__bool__", "__int__", "__index__", "__float__", "cpu", "numpy"}
SHAPED_BY_VALUES = {"nonzero", "masked_select", "unique", "argwhere"}  # their size has to be read


class Reads(TorchFunctionMode):
    """Counts what makes the CPU wait for values of a tensor."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        if name in READS | SHAPED_BY_VALUES:
            self.found.append(name)
        if name == "__getitem__" or name == "__setitem__":
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            if any(isinstance(each, torch.Tensor) and each.dtype == torch.bool for each in index):
                self.found.append("boolean index")
        if name == "to" and any(isinstance(each, str) for each in args[1:]):  # "cpu"; the model's own is a torch.device
            self.found.append("to cpu")
        return function(*args, **(kwargs or {}))


SETTINGS = {
    "one row": [{}],
    "rows of different lengths": [{}, {}, {}],
    "sampled": [{"temperature": 1.0, "seed": 1}, {"temperature": 0.7, "top_p": 0.5, "seed": 2}],
    "mixed": [{}, {"temperature": 1.0, "seed": 1}, {"drawing": "forbid"}, {"release_suppression": True}],
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_pass_reads_only_its_tokens(tiny, kind):
    seedx, tokenizer = tiny.model.seedx, tiny.model.tokenizer
    generation = Generation(seedx, tokenizer, TorchRunner(seedx.language))
    requests = [
        RowRequest(
            Prompt(torch.tensor(tokenizer.encode("what is there?" + " on the left" * i))),
            SamplingSettings(max_new_tokens=30, **each),
        )
        for i, each in enumerate(SETTINGS[kind])
    ]
    generation.join(requests)
    generation.step()  # the prompts
    passes = 0
    while passes < 6 and all(row.running and row.span is None for row in generation.rows):
        with Reads() as reads:
            generation.step()
        assert reads.found == ["tolist"]
        passes += 1
    assert passes


def test_what_reads_is_counted():
    x = torch.ones(3)
    with Reads() as reads:
        float(x[0])
        bool(x.any())
        x[x > 0]
        x.nonzero()
        x.tolist()
        x.to("cpu")
    assert reads.found == ["__float__", "__bool__", "boolean index", "nonzero", "tolist", "to cpu"]
