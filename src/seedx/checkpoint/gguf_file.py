"""The language model as a GGUF file, which llama.cpp reads. Needs the package gguf (the extra `seedx[llama]`).

    blk.0.attn_q.weight    llm.model.layers.0.self_attn.q_proj.weight, the rows of each head reordered: llama.cpp
                           rotates neighbouring channels, transformers channels that are half a head apart
    token_embd.weight      llm.model.embed_tokens.weight
    output.weight          llm.lm_head.weight; not there if it is tied to the embeddings

A file holds no vocabulary (`tokenizer.ggml.model` is "no_vocab"): the model folder has the tokenizer. It is written
tensor by tensor, so that memory holds one of them in its stored form, and a few rows of it in float32.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from torch import Tensor

from seedx.atomic import replacing_file
from seedx.config import LanguageConfig
from seedx.errors import MissingPackageError, SeedxError
from seedx.model.lora import Updates

if TYPE_CHECKING:
    import numpy.typing as npt

Written = Literal["f16", "q8_0", "q4_0"]
WRITTEN: tuple[Written, ...] = get_args(Written)

_NAMES = (
    ("llm.model.embed_tokens", "token_embd"),
    ("llm.model.norm", "output_norm"),
    ("llm.lm_head", "output"),
    (r"llm.model.layers.(\d+).input_layernorm", r"blk.\1.attn_norm"),
    (r"llm.model.layers.(\d+).post_attention_layernorm", r"blk.\1.ffn_norm"),
    (r"llm.model.layers.(\d+).self_attn.o_proj", r"blk.\1.attn_output"),
    (r"llm.model.layers.(\d+).self_attn.([qkv])_proj", r"blk.\1.attn_\2"),
    (r"llm.model.layers.(\d+).mlp.(gate|up|down)_proj", r"blk.\1.ffn_\2"),
)
_CHUNK = 2_000_000  # values that a thread converts at a time
_KEPT = 2048  # rows of embeddings
_EMBEDDINGS = (
    "token_embd.weight",
    "output.weight",
)  # 8 bits where the blocks have 4: few values, and much depends on them


def package() -> Any:
    """The package gguf.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        import gguf
    except ImportError as error:
        raise MissingPackageError('GGUF files need the package gguf: pip install gguf, or "seedx[llama]"') from error
    return gguf


def gguf_name(name: str) -> str:
    """The name in a GGUF file of a tensor of `Language`.

    Raises:
        SeedxError: it has no such tensor.
    """
    stem, _, kind = name.rpartition(".")
    for ours, theirs in _NAMES:
        if match := re.fullmatch(ours, stem):
            return f"{match.expand(theirs)}.{kind}"
    raise SeedxError(f"{name!r} is no layer of a Llama that GGUF has a name for")


def write(
    file: Path,
    config: LanguageConfig,
    tensors: Mapping[str, Tensor],
    kind: Written,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Write the language model.

    Args:
        tensors: of a `Language` by their names, such as a `part_state`, mapped from the disk or not.
        kind: how matrices are stored: half precision, or blocks of 32 values of 8 or 4 bits with a common scale. With
            4 bits, embeddings and output head have 8. Rows that are no multiple of 32 stay in half precision, norms in
            float32.
        progress: called for each tensor with its stored size in bytes.

    Raises:
        MissingPackageError: gguf is not installed.
    """
    gguf = package()
    with replacing_file(file) as aside:
        writer = gguf.GGUFWriter(aside, "llama")
        try:
            _write_metadata(writer, gguf, config, kind)
            stored = {name: _stored_type(gguf_name(name), tensor, kind, gguf) for name, tensor in tensors.items()}
            for name, quant in stored.items():
                shape = gguf.quant_shape_to_byte_shape(tuple(tensors[name].shape), quant)
                size = int(np.prod(shape))
                writer.add_tensor_info(gguf_name(name), shape, np.dtype(np.uint8), size, raw_dtype=quant)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
            for name, quant in stored.items():
                data = _converted(_in_order(name, tensors[name], config), quant, gguf)
                writer.write_tensor_data(data)
                if progress:
                    progress(data.nbytes)
        finally:
            writer.close()


def write_lora(file: Path, config: LanguageConfig, updates: Updates) -> None:
    """Write an adapter of the language model, its scale in B. Names are a Llama's: `model.layers.0.mlp.up_proj.weight`.

    Raises:
        MissingPackageError: gguf is not installed.
    """
    gguf = package()
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 0.0)  # B as it is
    for name, update in updates.items():
        b = _in_order(name, update.scale * update.b.detach().cpu().float(), config)
        writer.add_tensor(f"{gguf_name(f'llm.{name}')}.lora_a", update.a.detach().cpu().float().contiguous().numpy())
        writer.add_tensor(f"{gguf_name(f'llm.{name}')}.lora_b", b.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_metadata(writer: Any, gguf: Any, config: LanguageConfig, kind: Written) -> None:
    file_types = {
        "f16": gguf.LlamaFileType.MOSTLY_F16,
        "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
        "q4_0": gguf.LlamaFileType.MOSTLY_Q4_0,
    }
    writer.add_name("language model of SEED-X")
    writer.add_file_type(file_types[kind])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads or config.heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_rope_dimension_count(config.hidden_size // config.heads)
    writer.add_tokenizer_model("no_vocab")


def _stored_type(name: str, tensor: Tensor, kind: Written, gguf: Any) -> Any:
    quants = gguf.GGMLQuantizationType
    if tensor.dim() == 1:
        return quants.F32
    chosen = quants["Q8_0" if kind == "q4_0" and name in _EMBEDDINGS else kind.upper()]
    return chosen if tensor.shape[-1] % gguf.GGML_QUANT_SIZES[chosen][0] == 0 else quants.F16


def _in_order(name: str, tensor: Tensor, config: LanguageConfig) -> Tensor:
    heads = {"q_proj": config.heads, "k_proj": config.kv_heads or config.heads}.get(name.split(".")[-2])
    return tensor if heads is None else interleaved(tensor, heads)


def interleaved(weight: Tensor, heads: int) -> Tensor:
    """The rows of a query or key matrix as llama.cpp has them: of a head of 4, rows 0 1 2 3 become 0 2 1 3."""
    halves: Tensor = weight.unflatten(0, (heads, 2, -1))
    return halves.transpose(1, 2).reshape(weight.shape)


def _converted(tensor: Tensor, quant: Any, gguf: Any) -> npt.NDArray[np.uint8]:
    """(rows, columns) or (columns,) -> its bytes, row by row."""
    rows = tensor.detach().reshape(-1, tensor.shape[-1])
    out = np.empty(gguf.quant_shape_to_byte_shape(tuple(rows.shape), quant), np.uint8)
    step = max(1, _CHUNK // rows.shape[-1])

    def convert(start: int) -> None:
        values = rows[start : start + step].to("cpu").float().numpy()
        out[start : start + step] = np.ascontiguousarray(gguf.quantize(values, quant)).view(np.uint8)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(convert, range(0, len(rows), step)))
    return out.reshape(*tensor.shape[:-1], -1)


class GgufFile:
    """A GGUF file of the language model: its sizes, and the rows of its embeddings. The weights stay on the disk.

    Raises:
        SeedxError: it is no GGUF file, or of another kind of model.
        MissingPackageError: gguf is not installed.
    """

    def __init__(self, file: Path) -> None:
        self.file, self._gguf = file, package()
        if not file.is_file():
            raise SeedxError(f"there is no GGUF file {str(file)!r}; make one by `seedx convert MODEL OUT --gguf q4_0`")
        try:
            reader = self._gguf.GGUFReader(file)
            self.metadata = {name: field.contents() for name, field in reader.fields.items() if _is_small(field)}
            self.tensors = {tensor.name: tensor for tensor in reader.tensors}
            self._rows: dict[int, npt.NDArray[np.float32]] = {}
        except (ValueError, IndexError, KeyError, OSError) as error:
            raise SeedxError(f"{file} can't be read as GGUF: {error}; is the file whole?") from error
        architecture = self.metadata.get("general.architecture")
        if architecture != "llama":
            raise SeedxError(f"{file} holds a model of architecture {architecture!r}; the language model is a 'llama'")

    def check(self, config: LanguageConfig) -> None:
        """
        Raises:
            SeedxError: a size that is not the config's, or a tensor that is missing or of another shape.
        """
        expected: dict[str, float] = {
            "llama.embedding_length": config.hidden_size,
            "llama.block_count": config.layers,
            "llama.feed_forward_length": config.intermediate_size,
            "llama.attention.head_count": config.heads,
            "llama.attention.head_count_kv": config.kv_heads or config.heads,
            "llama.attention.layer_norm_rms_epsilon": config.rms_norm_eps,
            "llama.rope.freq_base": config.rope_theta,
        }
        found = {"llama.attention.head_count_kv": self.metadata.get("llama.attention.head_count")} | {
            "llama.rope.freq_base": 10000.0
        }
        for key, value in expected.items():
            has = self.metadata.get(key, found.get(key))
            if not isinstance(has, int | float) or abs(has - value) > 1e-6 * abs(value):
                raise SeedxError(f"{self.file}: {key} must be {value}, as in the model's config.json, not {has}")
        shapes = {"token_embd.weight": (config.vocab_size, config.hidden_size)}
        if not config.tie_embeddings:
            shapes["output.weight"] = shapes["token_embd.weight"]
        for name, shape in shapes.items():
            tensor = self.tensors.get(name)
            size = tuple(reversed(tensor.shape.tolist())) if tensor else None
            if size != shape:
                raise SeedxError(
                    f"{self.file}: {name} must have shape {shape}, not {size}: the file must be made of this model, "
                    "with the tokens that were added to its vocabulary"
                )

    def embeddings(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """(T,) ids -> (T, D): the rows as llama.cpp reads them.

        Some are kept: the same tokens come again and again, and one row takes about as long as a hundred.
        """
        tokens, rows = ids.tolist(), self._rows
        if new := [token for token in dict.fromkeys(tokens) if token not in rows]:
            tensor = self.tensors["token_embd.weight"]
            read = self._gguf.dequantize(tensor.data[new], tensor.tensor_type).astype(np.float32, copy=False)
            rows |= zip(new, read, strict=True)
        if len(rows) > _KEPT:
            self._rows = {}
        found = np.empty((len(tokens), self.tensors["token_embd.weight"].shape[0]), np.float32)
        for place, token in enumerate(tokens):
            found[place] = rows[token]
        return found


def _is_small(field: Any) -> bool:
    """No list of all words of a vocabulary."""
    return len(field.data) < 100
