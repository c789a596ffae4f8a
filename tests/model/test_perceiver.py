"""The perceiver resampler against the release's own numbers."""

from pathlib import Path

import pytest
import torch

from seedx.config import DetokenizerConfig
from seedx.model.perceiver import PerceiverResampler
from seedx.verify.detokenizer_cases import resampler

GOLDEN = Path(__file__).parents[1] / "golden"
SMALL = DetokenizerConfig(dim=16, depth=1, head_dim=8, heads=2, queries=4, context_dims=(6, 10))


def test_release_numbers() -> None:
    results = resampler(GOLDEN, "e_resampler_xlv2")
    assert len(results) == 8  # two settings, two inputs, two outputs
    assert max(error for _, error in results) < 5e-5


@pytest.mark.parametrize("tokens", [1, 16, 64])
def test_any_number_of_features(tokens: int) -> None:
    prompt, pooled = PerceiverResampler(SMALL, 12)(torch.randn(3, tokens, 12))
    assert prompt.shape == (3, 4, 16)
    assert pooled.shape == (3, 10)


def test_rows_do_not_mix() -> None:
    model, features = PerceiverResampler(SMALL, 12), torch.randn(3, 5, 12)
    together, alone = model(features)[0][1], model(features[1:2])[0][0]
    torch.testing.assert_close(together, alone)
