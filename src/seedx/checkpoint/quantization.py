"""The language model's linear layers in 8 or 4 bits, by libraries that are extras: `pip install "seedx[quant]"`.

    int8    on GPUs bitsandbytes (LLM.int8), on the CPU torchao (weights per row and activations per token in 8 bits)
    nf4     bitsandbytes: 4 bits, blocks of 64 with a scale each, the scales in 8 bits

Only the linear layers of the blocks: embeddings, output head and norms keep their precision. The model stays plain
modules; its layers are replaced from outside, one at a time, while the weights are read, so that there is never more
than one layer beside what is quantised already.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from typing import Any

import torch
from torch import Tensor, nn

from seedx.checkpoint.placement import LanguageWeights
from seedx.errors import MissingPackageError, SeedxError

LINEAR = re.compile(r"(.*\.layers\.\d+\..*_proj)\.weight")
OUTLIERS = 6.0  # activations beyond it stay in half precision (LLM.int8's own threshold)


def quantised_name(name: str) -> str | None:
    """The layer that a weight of `Language` belongs to, if it is one that is quantised."""
    match = LINEAR.fullmatch(name)
    return match[1] if match else None


def library(kind: LanguageWeights, device: str) -> Any:
    """The package that quantises.

    Raises:
        SeedxError: it is not installed, or has no such weights for the device.
    """
    if device.startswith("mps"):
        raise SeedxError(f'{kind} runs on NVIDIA GPUs and CPUs, not on mps: choose language="plain", or a GGUF file')
    name = "torchao" if kind == "int8" and device.startswith("cpu") else "bitsandbytes"
    if importlib.util.find_spec(name) is None:
        raise MissingPackageError(f'a language model in {kind} on {device} needs {name}: pip install "seedx[quant]"')
    return importlib.import_module("torchao.quantization" if name == "torchao" else name)


def quantise(model: nn.Module, layer: str, weight: Tensor, kind: LanguageWeights, device: str) -> None:
    """Replace one linear layer of a model by its quantised form.

    Args:
        layer: its name in the model.
        weight: (out, in) in the precision to compute in, on the CPU.

    Raises:
        SeedxError: as `library`.
    """
    package, rows, columns = library(kind, device), *weight.shape
    if kind == "int8" and device.startswith("cpu"):
        made: Any = nn.Linear(columns, rows, bias=False, device="meta")
        made.weight = nn.Parameter(weight, requires_grad=False)
        package.quantize_(made, package.Int8DynamicActivationInt8WeightConfig())
    elif kind == "int8":
        made = package.nn.Linear8bitLt(
            columns, rows, bias=False, has_fp16_weights=False, threshold=OUTLIERS, device="meta"
        )
        made.weight = package.nn.Int8Params(weight, requires_grad=False, has_fp16_weights=False)
    else:
        made = package.nn.Linear4bit(
            columns, rows, bias=False, compute_dtype=weight.dtype, quant_type="nf4", device="meta"
        )
        made.weight = package.nn.Params4bit(weight, requires_grad=False, quant_type="nf4", compress_statistics=True)
    parent, _, child = layer.rpartition(".")
    setattr(model.get_submodule(parent), child, made.to(device).eval())


def bytes_of(kind: LanguageWeights, shape: torch.Size) -> float:
    """Bytes of one quantised matrix (rows, columns), scales included."""
    rows, columns = shape
    if kind == "int8":
        return rows * columns + 4 * rows
    blocks = rows * columns / 64
    return rows * columns / 2 + blocks + 4 * blocks / 256  # a scale in 8 bits a block, and one in 32 for 256 of them
