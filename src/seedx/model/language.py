"""The language model: a Llama of transformers, whose decoder layers we run ourselves.

Running them here keeps every rule of attention in one place: a row of several documents (its positions start again
at 0) is masked by document, a cache brings its own mask, and anything else is plain causal attention.

A model is built without adapters, so its weights have a Llama's own names. A stage that trains by LoRA calls
`add_lora`; `merge_lora` merges the adapters into the weights.

Shapes:
    B rows, T tokens, D width
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRotaryEmbedding

from seedx.config import LanguageConfig
from seedx.errors import SeedxError
from seedx.model.attention import LLAMA_ATTENTION, Documents, register_llama_attention
from seedx.model.cache import Cache, CachedRow
from seedx.model.lora import Update
from seedx.model.lora_training import inject, injected, updates_of

HEAD_SCALE = 3.0  # of a new row of the output head, in means of the old rows (the release)

# How a layer takes the cache; older versions of transformers name it otherwise, and would ignore the new name.
CACHE = "cache" if "cache" in inspect.signature(LlamaDecoderLayer.forward).parameters else "past_key_values"


class Language(nn.Module):
    """embed -> states -> head."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.config = config
        register_llama_attention()
        llama = llama_config(config)
        self.llm = LlamaForCausalLM(llama)
        with torch.device("cpu"):  # its buffer is in no checkpoint: a model built on the meta device needs it real
            self.llm.model.rotary_emb = LlamaRotaryEmbedding(llama)

    @property
    def dim(self) -> int:
        return self.config.hidden_size

    def embed(self, ids: Tensor) -> Tensor:
        """(B, T) int64 -> (B, T, D)."""
        return self.llm.model.embed_tokens(ids)

    def states(
        self,
        embeds: Tensor,
        position_ids: Tensor,
        cache: Cache | None = None,
        first_row: int = 0,
        starts: Sequence[int] | None = None,
    ) -> Tensor:
        """(B, T, D) at positions (B, T) -> (B, T, D), after the final norm.

        Without a cache a row may hold several documents, each with positions from 0: none sees another. With a cache
        the positions of a row are consecutive and follow what it holds; the rows are those of the cache from
        `first_row` on. `starts` are the first positions of the rows, where the caller knows them.
        """
        documents = find_documents(position_ids) if cache is None else None
        mask = None
        if documents is None:
            mask = document_mask(position_ids) if cache is None else cache.place(position_ids, first_row, starts)
        rotations = self.llm.model.rotary_emb(embeds, position_ids)
        x = embeds
        for layer in self.llm.model.layers:
            x = layer(x, attention_mask=mask, documents=documents, position_embeddings=rotations, **{CACHE: cache})
        return self.llm.model.norm(x)

    def head(self, states: Tensor) -> Tensor:
        """(..., D) -> (..., vocabulary) logits."""
        return self.llm.lm_head(states)

    def moved(self, row: CachedRow, kept: Tensor) -> CachedRow:
        """A row of the cache with the tokens at the positions `kept` (T,) alone, in memory of its own.

        They get the positions 0..T-1, as in StreamingLLM: a key was rotated by its old position, so it is rotated on by
        the difference, in float32.
        """
        shift = torch.arange(len(kept), device=kept.device) - kept
        cos, sin = self.llm.model.rotary_emb(torch.zeros((), device=kept.device), shift[None])

        def rotated(keys: Tensor) -> Tensor:
            chosen = keys[:, kept].float()
            first, second = chosen.chunk(2, dim=-1)
            return (chosen * cos[0] + torch.cat([-second, first], dim=-1) * sin[0]).to(keys.dtype)

        return CachedRow([rotated(keys) for keys in row.keys], [values[:, kept] for values in row.values])

    def new_cache(self) -> Cache:
        return Cache(self.config.layers)

    @torch.no_grad()
    def init_new_rows(self, first: int) -> None:
        """Initialise the rows of tokens `first` and later by the mean of the older rows, times 3 in the output head.

        Raises:
            SeedxError: `first` leaves no older row, or is beyond the vocabulary.
        """
        embedding, head = self.llm.model.embed_tokens.weight, self.llm.lm_head.weight
        if not 0 < first <= len(embedding):
            raise SeedxError(
                f"new rows start after row 0 and within the vocabulary of {len(embedding)}, not at {first}"
            )
        embedding[first:] = new_row(embedding[:first])
        if head is not embedding:
            head[first:] = new_row(head[:first], head=True)

    @torch.no_grad()
    def init_ordinal_rows(self, first: int, count: int) -> None:
        """Initialise the rows of `count` ordered tokens (<loc-0>, <loc-1>, ...) as a smooth curve.

        For training from scratch: what is learned about one coordinate then generalises to its neighbours.
        """
        rows = ordinal_rows(count, self.dim, std=self.llm.config.initializer_range)
        for weight in (self.llm.model.embed_tokens.weight, self.llm.lm_head.weight):
            weight[first : first + count] = rows.to(weight)

    def add_lora(self) -> None:
        """Add LoRA to every linear layer of the blocks; norms, embeddings and head stay trained in full.

        Raises:
            SeedxError: the configuration has no LoRA.
        """
        if self.config.lora is None:
            raise SeedxError("add_lora needs LanguageConfig.lora; set it, or train every weight without adapters")
        inject(self.llm, self.config.lora, r"model\.layers\..*_proj")
        for name, parameter in self.llm.named_parameters():
            if "norm" in name or "embed_tokens" in name or "lm_head" in name:
                parameter.requires_grad_(True)

    def merge_lora(self) -> None:
        """Merge the adapters into the weights and remove them: names and shapes are a plain Llama's again."""
        for module in injected(self.llm).values():
            module.merge()
        self.take_lora()

    def take_lora(self) -> dict[str, Update]:
        """Remove the adapters, and give what they have learnt by the names of the weights that they would change."""
        updates = updates_of(self.llm)
        for name, module in injected(self.llm).items():
            parent, _, child = name.rpartition(".")
            setattr(self.llm.get_submodule(parent), child, module.get_base_layer())
        self.llm.requires_grad_(True)
        return updates


def new_row(rows: Tensor, head: bool = False) -> Tensor:
    """(N, D) -> (D,): the row that a new token starts with, as in the release: the mean of the older rows, in the
    output head times 3. Computed in float32."""
    mean = rows.float().mean(dim=0)
    return (HEAD_SCALE * mean if head else mean).to(rows.dtype)


def llama_config(config: LanguageConfig) -> LlamaConfig:
    """The same sizes as transformers' config."""
    return LlamaConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.kv_heads or config.heads,
        max_position_embeddings=config.context,
        rms_norm_eps=config.rms_norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta, **config.rope_scaling},
        tie_word_embeddings=config.tie_embeddings,
        bos_token_id=config.bos,
        eos_token_id=config.eos,
        pad_token_id=config.pad,
        attn_implementation=LLAMA_ATTENTION,  # type: ignore[call-arg]
    )


def document_mask(position_ids: Tensor) -> Tensor | None:
    """Which tokens see which in rows of several documents: (B, 1, T, T) bool, or None for plain causal attention.

    Positions [0 1 2 0 1] are documents [1 1 1 2 2]: token 4 sees 3 and 4.
    """
    starts = position_ids == 0
    if not starts[:, 1:].any():
        return None
    document = starts.cumsum(dim=1)
    same = document[:, None, :, None] == document[:, None, None, :]
    return same.tril()


def find_documents(position_ids: Tensor) -> Documents | None:
    """The documents of packed rows; None if each row has one, or where a mask is faster.

    Positions [[0 1 2 0 1] [0 1 2 3 4]] are documents of [3 2 5] tokens.
    """
    if position_ids.device.type != "cpu" or torch.compiler.is_compiling():  # lengths would be compiled in
        return None
    starts = position_ids == 0
    starts[:, 0] = True
    if not starts[:, 1:].any():
        return None
    at = starts.flatten().nonzero()[:, 0]
    return Documents(at.diff(append=at.new_tensor([starts.numel()])).tolist())


def ordinal_rows(count: int, dim: int, std: float) -> Tensor:
    """(count, dim): sines and cosines of k, from half a wave over the whole range to one wave every 16 rows."""
    slowest, fastest = math.pi / count, 2 * math.pi / 16
    frequencies = torch.logspace(math.log10(slowest), math.log10(max(fastest, slowest)), (dim + 1) // 2)
    angles = torch.arange(count)[:, None] * frequencies
    return math.sqrt(2) * std * torch.cat([angles.sin(), angles.cos()], dim=1)[:, :dim]
