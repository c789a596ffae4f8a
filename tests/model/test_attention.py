"""The plain products give what the fused kernel gives."""

import runpy

import pytest
import torch
import torch.nn.functional as F
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from seedx.config import LanguageConfig
from seedx.model import attention, language
from seedx.model.attention import attend, llama_attention


def heads(count: int, length: int) -> torch.Tensor:
    return torch.randn(2, count, length, 8, generator=torch.Generator().manual_seed(count + length))


@pytest.mark.parametrize("causal", [False, True])
def test_attend_is_attention(causal):
    q, k, v = heads(4, 5), heads(4, 5) * 2, heads(4, 5) - 1
    torch.testing.assert_close(
        attend(q, k, v, causal=causal), F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    )


def test_a_mask_hides_keys():
    q, k, v = heads(4, 3), heads(4, 6), heads(4, 6)
    mask = torch.tensor([True, False, True, True, False, False])
    seen = attend(q, k, v, mask[None, None, None])
    torch.testing.assert_close(seen, attend(q, k[:, :, mask], v[:, :, mask]))


def test_heads_that_share_keys_keep_to_a_mask():
    q, k, v = heads(4, 3), heads(2, 6), heads(2, 6)
    mask = torch.tensor([[True] * 6, [True, False] * 3, [False] * 5 + [True]])[None, None].expand(2, 1, 3, 6)
    whole = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
    torch.testing.assert_close(attend(q, k, v, mask), whole)


def test_heads_of_keys_repeat():
    q, k, v = heads(4, 3), heads(2, 3), heads(2, 3)
    attended, _ = llama_attention(torch.nn.Identity(), q, k, v, None)
    whole = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    torch.testing.assert_close(attended, whole.transpose(1, 2))


def test_the_attention_is_registered_by_the_model_not_by_the_import(monkeypatch):
    monkeypatch.delitem(ALL_ATTENTION_FUNCTIONS._global_mapping, "seedx", raising=False)
    for module in (attention, language):
        runpy.run_path(module.__file__)  # the code of the import, once more
    assert "seedx" not in ALL_ATTENTION_FUNCTIONS.valid_keys()
    for _ in range(2):
        language.Language(LanguageConfig(vocab_size=9, hidden_size=8, intermediate_size=8, layers=1, heads=2))
    assert ALL_ATTENTION_FUNCTIONS["seedx"] is llama_attention


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize("kv", [4, 2])
def test_the_last_queries_of_a_sequence_need_no_mask(monkeypatch, short, kv):
    """A span after what is cached: causal attention of the last 3 of 10 tokens, both ways."""
    monkeypatch.setattr("seedx.model.attention.SHORT", 1024 if short else 4)
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 4, 10, 8), torch.randn(2, kv, 10, 8), torch.randn(2, kv, 10, 8)
    whole = attend(q, k, v, mask=torch.ones(1, 1, 10, 10, dtype=torch.bool).tril())
    torch.testing.assert_close(attend(q, k, v, causal=True), whole, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(attend(q[:, :, 7:], k, v, causal=True), whole[:, :, 7:], atol=1e-6, rtol=1e-5)
