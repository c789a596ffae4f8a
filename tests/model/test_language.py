from __future__ import annotations

import dataclasses

import pytest
import torch

from seedx.config import LanguageConfig, LoraConfig
from seedx.model.attention import Documents, attend, attend_within
from seedx.model.cache import GROWTH
from seedx.model.language import Language, document_mask, find_documents, ordinal_rows

CONFIG = LanguageConfig(vocab_size=50, hidden_size=32, intermediate_size=48, layers=2, heads=4, kv_heads=2, context=600)
LORA = dataclasses.replace(CONFIG, lora=LoraConfig(rank=4, alpha=4))


@pytest.fixture
def language():
    torch.manual_seed(0)
    model = Language(CONFIG).eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)  # attention that is not almost even
    return model


def run(language, ids, positions=None, cache=None):
    positions = torch.arange(ids.shape[1]).expand(len(ids), -1) if positions is None else positions
    with torch.no_grad():
        return language.states(language.embed(ids), positions, cache)


def close(a, b):
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_equals_transformers(language):
    ids = torch.randint(50, (2, 9))
    with torch.no_grad():
        expected = language.llm(ids).logits
    close(language.head(run(language, ids)), expected)


def test_packed_documents_equal_documents_apart(language):
    ids = torch.randint(50, (1, 9))
    positions = torch.tensor([[0, 1, 2, 3, 0, 1, 0, 1, 2]])
    packed = run(language, ids, positions)
    apart = [run(language, ids[:, a:b]) for a, b in ((0, 4), (4, 6), (6, 9))]
    close(packed, torch.cat(apart, dim=1))


def test_find_documents():
    assert find_documents(torch.arange(5).expand(2, 5)) is None
    assert find_documents(torch.tensor([[0, 1, 2, 0, 1], [0, 1, 2, 3, 4]])) == Documents([3, 2, 5])
    assert find_documents(torch.tensor([[4, 5, 0, 1], [0, 0, 1, 2]])) == Documents([2, 2, 1, 3])


def test_documents_apart_attend_as_under_their_mask():
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 5, 8)
    positions = torch.tensor([[0, 1, 2, 0, 1], [0, 1, 2, 3, 4]])
    masked = attend(q, k, v, document_mask(positions)).transpose(1, 2)
    torch.testing.assert_close(attend_within(q, k, v, Documents([3, 2, 5])), masked)


def test_document_mask():
    assert document_mask(torch.arange(5)[None]) is None
    mask = document_mask(torch.tensor([[0, 1, 0, 1]]))
    assert mask[0, 0].int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]


def test_cache_equals_no_cache(language):
    """A prompt, a few tokens at once, one token, and so many that the cache grows."""
    ids = torch.randint(50, (2, GROWTH + 20))
    cache, parts, at = language.new_cache(), [], 0
    for length in (5, 4, 1, 7, GROWTH + 3):
        positions = torch.arange(at, at + length).expand(2, -1)
        parts.append(run(language, ids[:, at : at + length], positions, cache))
        at += length
    close(torch.cat(parts, dim=1), run(language, ids))


def test_cache_of_rows_of_different_lengths(language):
    """Row 1 is padded on the right in both passes; what it is padded with changes nothing."""
    ids = torch.randint(50, (2, 12))
    whole = run(language, ids)
    for padding in (0, 7):
        cache = language.new_cache()
        first = ids[:, :6].clone()
        first[1, 3:] = padding
        run(language, first, cache=cache)
        second = torch.stack([ids[0, 6:9], torch.tensor([ids[1, 3], padding, padding])])
        states = run(language, second, torch.tensor([[6, 7, 8], [3, 4, 5]]), cache)
        close(states[0], whole[0, 6:9])
        close(states[1, 0], whole[1, 3])
        cache.swap(0, 1)
        close(run(language, ids[1:, 4:6], torch.tensor([[4, 5]]), cache), whole[1:, 4:6])


def test_lora_starts_as_nothing_and_merges_into_a_plain_llama():
    torch.manual_seed(0)
    language = Language(LORA).eval()
    names, ids = set(language.state_dict()), torch.randint(50, (1, 6))
    plain = run(language, ids)
    language.add_lora()
    close(run(language, ids), plain)

    trained = {name for name, parameter in language.named_parameters() if parameter.requires_grad}
    assert sum("lora_" in name for name in trained) == 2 * 7 * CONFIG.layers
    rest = {name for name in trained if "lora_" not in name}
    assert all("norm" in name or "embed_tokens" in name or "lm_head" in name for name in rest)
    assert len(rest) == 2 * CONFIG.layers + 3

    for name, parameter in language.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    adapted = run(language, ids)
    assert (adapted - plain).abs().max() > 0.1
    language.merge_lora()
    assert set(language.state_dict()) == names
    close(run(language, ids), adapted)
    assert all(parameter.requires_grad for parameter in language.parameters())


def test_lora_needs_its_settings():
    with pytest.raises(ValueError, match=r"needs LanguageConfig\.lora"):
        Language(CONFIG).add_lora()


def test_new_rows(language):
    embedding, head = language.llm.model.embed_tokens.weight, language.llm.lm_head.weight
    old = embedding[:40].clone(), head[:40].clone()
    language.init_new_rows(40)
    close(embedding[40:], old[0].mean(dim=0).expand(10, -1))
    close(head[40:], 3 * old[1].mean(dim=0).expand(10, -1))
    assert torch.equal(embedding[:40], old[0]) and torch.equal(head[:40], old[1])
    with pytest.raises(ValueError, match="within the vocabulary of 50, not at 51"):
        language.init_new_rows(51)


def test_ordinal_rows_are_alike_when_near():
    rows = ordinal_rows(224, 64, std=0.02)
    assert rows.shape == (224, 64) and 0.015 < rows.std() < 0.025
    distances = torch.cdist(rows, rows)
    near, nearby, far = (distances.diagonal(offset).max() for offset in (1, 4, 100))
    assert near < nearby < distances.diagonal(100).min() and far > 3 * near


def test_ordinal_rows_go_to_embedding_and_head(language):
    language.init_ordinal_rows(10, 8)
    for weight in (language.llm.model.embed_tokens.weight, language.llm.lm_head.weight):
        torch.testing.assert_close(weight[10:18].data, ordinal_rows(8, 32, std=0.02))


def test_built_without_memory_it_still_has_its_rotations():
    real = Language(CONFIG)
    with torch.device("meta"):
        language = Language(CONFIG)
    language.load_state_dict(real.state_dict(), assign=True)
    ids = torch.randint(50, (1, 4))
    close(run(language, ids), run(real, ids))
