"""llama.cpp against torch on SmolLM2-135M, both on the same weights in half precision."""

from __future__ import annotations

import itertools

import pytest
import torch

from seedx.engines.llama_runner import LlamaRunner
from seedx.engines.torch_runner import TorchRunner

NEW = 24  # tokens
NEAR = 0.1  # two tokens whose logits are so close are a near-tie: half precision may choose either
SPAN = 64


@torch.inference_mode()
def greedy(runner, prompts, new=NEW):
    """The most likely tokens after each prompt, and how much more likely than the next best they were."""
    rows = [runner.open_row() for _ in prompts]
    runner.forward(rows, [runner.embed(prompt) for prompt in prompts], [0] * len(rows))
    tokens, margins = [[] for _ in rows], [[] for _ in rows]
    for _ in range(new):
        best = runner.logits(rows).topk(2)
        for i, (values, ids) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
            tokens[i].append(ids[0])
            margins[i].append(values[0] - values[1])
        runner.forward(rows, [runner.embed(torch.tensor(each[-1:])) for each in tokens], [0] * len(rows))
    for row in rows:
        runner.close_row(row)
    return tokens, margins


@pytest.mark.slow
def test_fifty_answers_are_those_of_torch(smollm2, capsys):
    expected, margins = greedy(TorchRunner(smollm2.language), smollm2.prompts)
    found, _ = greedy(LlamaRunner(smollm2.f16), smollm2.prompts)
    assert len(expected) == 50 and len({tuple(each) for each in expected}) > 40
    ties = {}
    for number, (ours, theirs) in enumerate(zip(expected, found, strict=True)):
        if ours != theirs:
            first = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
            ties[number] = (first, round(margins[number][first], 4))
    with capsys.disabled():
        print(f"\nSmolLM2: {50 - len(ties)} of 50 texts equal; near-ties by prompt (token, margin): {ties}")
    assert all(margin < NEAR for _, margin in ties.values()) and len(ties) <= 5


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "least"), [("f16", 0.9999), ("q8_0", 0.99)])
def test_states_of_a_span_are_those_of_torch(smollm2, kind, least):
    """A prompt, then 64 embeddings that are no tokens, as those of an image: the final states of each."""
    generator = torch.Generator().manual_seed(0)
    span = torch.randn(SPAN, smollm2.language.dim, generator=generator)
    span *= smollm2.language.llm.model.embed_tokens.weight.std()
    by_torch, by_llama = TorchRunner(smollm2.language), LlamaRunner(getattr(smollm2, kind))
    for prompt in smollm2.prompts[::10]:
        states = []
        for runner in (by_torch, by_llama):
            row = runner.open_row()
            with torch.inference_mode():
                states += runner.forward([row], [torch.cat([runner.embed(prompt), span])], [SPAN])
            runner.close_row(row)
        cosine = torch.nn.functional.cosine_similarity(*states, dim=-1)
        assert cosine.shape == (SPAN,) and float(cosine.min()) > least


@pytest.mark.slow
def test_embeddings_are_read_from_the_file(smollm2):
    ids = torch.tensor([0, 5, 49151, 5])
    expected = smollm2.language.embed(ids)
    assert torch.equal(LlamaRunner(smollm2.f16).embed(ids), expected)
    torch.testing.assert_close(LlamaRunner(smollm2.q8_0).embed(ids), expected, atol=2e-3, rtol=0.02)


def test_prompts_differ(smollm2):
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(smollm2.prompts, 2))
