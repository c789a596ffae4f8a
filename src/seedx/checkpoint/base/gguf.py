"""A language model in GGUF, dequantised by transformers and the package `gguf`."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seedx.errors import SeedxError

GgufFolder = tuple[Path, dict[str, Any], dict[str, Tensor]]


@contextlib.contextmanager
def as_folder(file: Path) -> Iterator[GgufFolder]:
    """A folder with its tokenizer and chat template, its config as of transformers, and its weights under the names of
    transformers, float16: the scales of a quantised file have no more digits. All weights are in memory at once.

    Raises:
        SeedxError: the package is missing, or the file can't be read or is no Llama.
    """
    try:
        import gguf  # noqa: F401
    except ImportError as error:
        raise SeedxError('a GGUF needs the package gguf: pip install "seedx[gguf]"') from error
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    try:
        values: dict[str, Any] = load_gguf_checkpoint(str(file))["config"]
        if values.get("model_type") != "llama":
            raise SeedxError(f"{file}: a Llama is expected, not {values.get('model_type')!r}")
        with torch.device("meta"):
            empty = LlamaForCausalLM(LlamaConfig.from_dict(values))
        loaded = load_gguf_checkpoint(str(file), return_tensors=True, model_to_load=empty, torch_dtype=torch.float16)[
            "tensors"
        ]
        words = AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name)
    except (ValueError, KeyError, OSError, RuntimeError, IndexError) as error:
        if isinstance(error, SeedxError):
            raise
        raise SeedxError(f"{file} can't be read as GGUF: {error}") from error
    with tempfile.TemporaryDirectory() as place:
        words.save_pretrained(place)
        yield Path(place), values, {name: tensor for name, tensor in loaded.items() if name != "rope_freqs.weight"}
