"""A language model as a base part: any Llama-shaped model of transformers or in GGUF, or the one of our own models."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from seedx.checkpoint import native, weights
from seedx.checkpoint.base import gguf, vocabulary
from seedx.checkpoint.base.chat_template import read_template, template_of
from seedx.checkpoint.base.fetch import is_ours
from seedx.checkpoint.base.vocabulary import Vocabulary
from seedx.checkpoint.release import from_release
from seedx.config import LanguageConfig, LoraConfig, Template
from seedx.damage import read_json_object
from seedx.errors import SeedxError
from seedx.model.language import new_row
from seedx.tokenizer import Tokenizer

EMBEDDINGS, HEAD = "llm.model.embed_tokens.weight", "llm.lm_head.weight"
STATIC_ROPE = ("default", "linear", "llama3")  # whose frequencies do not depend on the text


@dataclass(frozen=True)
class LanguagePart:
    """
    Attributes:
        tensors: under our names, the new rows included.
        new_rows: of the embeddings; as many of the head, unless it is tied to them.
        template: its chat template; None: that of the variant.
        variant: of our own model; None for others.
    """

    config: LanguageConfig
    tensors: Mapping[str, Tensor]
    words: Tokenizer
    new_rows: int = 0
    template: Template | None = None
    variant: str | None = None


@contextlib.contextmanager
def reading(place: Path, template: Literal["chat", "inst"]) -> Iterator[LanguagePart]:
    """The language model at a place, its files open meanwhile.

    Args:
        template: "chat": the model's own chat template, if it has one; "inst": that of the variant.

    Raises:
        SeedxError: it is no Llama, has a setting that ours does not, or a file is missing or damaged.
    """
    if is_ours(place, "language"):
        yield _ours(place, template)
    elif place.suffix == ".gguf":
        with gguf.as_folder(place) as (folder, config, tensors):
            yield _part(folder, config, tensors, template)
    elif place.is_dir():
        files = weights.find_module(place)
        if not files:
            raise SeedxError(f"{place} holds no weights of a language model: expected model.safetensors or its shards")
        yield _part(place, read_json_object(place / "config.json"), weights.read(*files), template)
    else:
        raise SeedxError(f"{place} is no language model: expected a folder with config.json, or a .gguf file")


def _ours(place: Path, template: str) -> LanguagePart:
    config = native.read_config(place)
    words = vocabulary.unchanged(place).words
    tensors = native.read_part(place, "language")
    return LanguagePart(
        config.language, tensors, words, 0, config.template if template == "chat" else None, config.variant
    )


def _part(
    folder: Path, values: dict[str, Any], tensors: dict[str, Tensor], template: Literal["chat", "inst"]
) -> LanguagePart:
    known, made = vocabulary.extend(folder), None
    source = read_template(folder) if template == "chat" else None
    if source:
        made, stop = template_of(source, known.roles, known.special)
        known = vocabulary.extend(folder, eos=stop) if stop != known.roles["eos"] else known
    config = language_config(values, folder)
    state = from_release("llm", tensors)
    if config.tie_embeddings:
        state.pop(HEAD, None)
    rows = _grow(state, known, folder)
    specials = known.words.specials
    config = dataclasses.replace(
        config, vocab_size=len(state[EMBEDDINGS]), bos=specials.bos, eos=specials.eos, pad=specials.pad
    )
    return LanguagePart(config, state, known.words, rows, made)


def _grow(state: dict[str, Tensor], known: Vocabulary, folder: Path) -> int:
    """Add the rows of the new tokens. A vocabulary may have been padded with rows that no token uses: they are taken.

    Returns:
        the number of rows of new tokens.
    """
    size = known.words.vocab_size
    for name in (EMBEDDINGS, HEAD):
        if name not in state:
            if name == EMBEDDINGS:
                raise SeedxError(f"{folder}: it has no 'model.embed_tokens.weight'; is it a whole language model?")
            continue
        old = state[name]
        if len(old) < known.old:
            raise SeedxError(f"{folder}: the tokenizer has {known.old} ids and the model {len(old)} rows for them")
        rows = new_row(old[: known.old], head=name == HEAD).expand(max(size, len(old)) - known.old, -1)
        state[name] = torch.cat([old[: known.old], rows])
    return size - known.old


def language_config(values: dict[str, Any], where: Path) -> LanguageConfig:
    """Sizes by a config.json of transformers. Ids and the vocabulary are those of the tokenizer.

    Raises:
        SeedxError: it is no Llama, or has a setting that ours does not.
    """
    from transformers import LlamaConfig

    kind = values.get("model_type")
    if kind != "llama" and not (kind == "mistral" and not values.get("sliding_window")):
        raise SeedxError(f"{where}: a Llama is expected (model_type 'llama'), not {kind!r}")
    if values.get("quantization_config"):
        raise SeedxError(f"{where}: its weights are quantised; give the model in half precision, or as GGUF")
    config: Any = LlamaConfig.from_dict(values)
    heads, width = config.num_attention_heads, config.hidden_size
    rope = dict(config.rope_parameters or {})
    theta, rope_type = float(rope.pop("rope_theta", 10000.0)), rope.get("rope_type", "default")
    for name, wanted, found in (
        ("head_dim", width // heads, config.head_dim),
        ("hidden_act", "silu", config.hidden_act),
        ("attention_bias", False, config.attention_bias),
        ("mlp_bias", False, config.mlp_bias),
    ):
        if found != wanted:
            raise SeedxError(f"{where}: {name} must be {wanted!r} for this library's Llama, not {found!r}")
    if rope_type not in STATIC_ROPE:
        raise SeedxError(f"{where}: rope_type must be one of {', '.join(STATIC_ROPE)}, not {rope_type!r}")
    keys = config.num_key_value_heads
    return LanguageConfig(
        vocab_size=config.vocab_size,
        hidden_size=width,
        intermediate_size=config.intermediate_size,
        layers=config.num_hidden_layers,
        heads=heads,
        kv_heads=None if keys == heads else keys,
        context=config.max_position_embeddings,
        rms_norm_eps=float(config.rms_norm_eps),
        rope_theta=theta,
        rope_scaling={} if rope_type == "default" else rope,
        tie_embeddings=bool(config.tie_word_embeddings),
        lora=LoraConfig(),
    )
