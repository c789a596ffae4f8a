from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from seedx.config import VisionConfig
from seedx.model.vision import VisionTransformer, negative_features, pool_features
from seedx.verify.model_cases import vision

GOLDEN = Path(__file__).parents[1] / "golden"
SMALL = VisionConfig(image_size=32, patch_size=8, width=32, layers=2, heads=4, queries=4, output_dim=16)


@pytest.mark.parametrize("name", ["a_vit_interpolated_pos", "a_vit_256_patches"])
def test_golden(name):
    assert max(error for _, error in vision(GOLDEN, name)) < 5e-5


def test_pools_neighbours_in_raster_order():
    features = torch.arange(8.0).reshape(1, 8, 1)
    assert pool_features(features, 4).flatten().tolist() == [1.5, 5.5]
    with pytest.raises(ValueError, match="8 features can't be averaged by 3"):
        pool_features(features, 3)


@pytest.mark.parametrize(("pooled", "count"), [(True, 2), (False, 4)])
def test_negative_features_are_those_of_zeros_without_a_gradient(pooled: bool, count: int) -> None:
    model = VisionTransformer(dataclasses.replace(SMALL, pool=2))
    features = model(torch.zeros(1, 3, 32, 32))
    expected = pool_features(features, 2) if pooled else features
    found = negative_features(model, pooled)
    assert found.shape == (1, count, 16) and not found.requires_grad
    torch.testing.assert_close(found, expected.detach())


def test_learns_from_scratch():
    """A few steps tell a bright square on the left from one on the right."""
    torch.manual_seed(0)
    model, head = VisionTransformer(SMALL), torch.nn.Linear(16, 2)
    pixels = 0.1 * torch.randn(16, 3, 32, 32)
    sides = torch.arange(16) % 2
    for image, side in zip(pixels, sides.tolist(), strict=True):
        image[:, 8:24, 16 * side : 16 * side + 16] += 1
    parameters = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=3e-3)
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(head(model(pixels).mean(dim=1)), sides)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    assert all(parameter.grad is not None for parameter in parameters)


def test_pixels_of_another_size():
    with pytest.raises(ValueError, match=r"reads pixels \(N, 3, 32, 32\), not \(1, 3, 24, 32\)"):
        VisionTransformer(SMALL)(torch.zeros(1, 3, 24, 32))
