from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from seedx.model.resampler import QueryResampler, resize_positions, sincos_positions
from seedx.verify.model_cases import resampler

GOLDEN = Path(__file__).parents[1] / "golden"


def test_golden():
    results = resampler(GOLDEN, "b_resampler")
    assert len(results) == 15 and max(error for _, error in results) < 5e-5


def test_projects_keys_only_from_another_width():
    assert "kv_proj.weight" in QueryResampler(4, 8, 2, input_dim=12).state_dict()
    assert "kv_proj.weight" not in QueryResampler(4, 8, 2, input_dim=8).state_dict()


def test_positions_are_stored_and_fixed():
    model = QueryResampler(4, 8, 2)
    assert "positions" in model.state_dict() and "positions" not in dict(model.named_parameters())
    torch.testing.assert_close(model.positions, sincos_positions(2, 8))


def test_positions_first_half_is_the_column():
    grid = sincos_positions(3, 8).reshape(3, 3, 8)
    assert torch.equal(grid[0, 2, :4], grid[1, 2, :4]) and torch.equal(grid[2, 0, 4:], grid[2, 1, 4:])
    assert not torch.equal(grid[0, 1, :4], grid[0, 2, :4])


def test_sizes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"queries must be a square number.* not 5"):
        QueryResampler(5, 8, 2)
    with pytest.raises(ValueError, match="multiple of its heads"):
        QueryResampler(4, 8, 3)
    with pytest.raises(ValueError, match=r"tokens read by a resampler must be a square number.* not 7"):
        resize_positions(sincos_positions(2, 8), 7)


@pytest.mark.parametrize("tokens", [16, 64])
def test_local_queries_look_at_their_own_place(tokens):
    torch.manual_seed(0)
    resampler = QueryResampler(16, 256, 8)
    resampler.init_local()
    side = math.isqrt(tokens)
    square = torch.arange(side) * 4 // side
    place = (4 * square[:, None] + square).flatten()  # the query of each token's place
    x = torch.zeros(1, tokens, 256)
    x[0, place == 5] = 5 * torch.randn(256)  # something is seen at the place of query 5 alone
    changed = (resampler(x) - resampler(torch.zeros_like(x)))[0].norm(dim=-1)
    assert changed.argmax() == 5 and changed[5] > 2 * changed.sort().values[-2]


@pytest.mark.parametrize("frozen", [False, True])
def test_it_computes_what_its_attention_module_would(frozen):
    layer = QueryResampler(16, 32, 4, input_dim=24).requires_grad_(not frozen)
    x = torch.randn(3, 64, 24, generator=torch.Generator().manual_seed(0))
    read = layer.ln_kv(layer.kv_proj(x))
    query, key = layer.ln_q(layer.query) + layer.positions, read + resize_positions(layer.positions, 64)
    expected, _ = layer.attn(query.expand(3, -1, -1), key, read, need_weights=False)
    torch.testing.assert_close(layer(x), expected)


def test_frozen_weights_are_not_multiplied_token_by_token():
    batches = []

    class Products(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is torch.ops.aten.bmm.default:
                batches.append(len(args[0]))
            return func(*args, **kwargs or {})

    layer = QueryResampler(16, 32, 4, input_dim=24).requires_grad_(False).bfloat16()
    with Products(), torch.no_grad():
        layer(torch.randn(3, 64, 24).bfloat16())
    assert batches == [3 * 4, 3 * 4]  # a product for each head of an image, never one for each of 64 tokens
