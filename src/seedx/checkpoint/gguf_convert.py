"""A model folder whose language model is a GGUF file, `language.gguf`, in the place of `language.safetensors`."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from seedx import tokenizer
from seedx.checkpoint import gguf_file, llama_cpp, mapped, native, weights
from seedx.checkpoint.hub import locate
from seedx.checkpoint.parts import build, modules, part_state
from seedx.config import LanguageConfig
from seedx.errors import SeedxError

Kind = Literal["f16", "q8_0", "q4_0", "q6_k", "q5_k_m", "q4_k_m"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Progress = Callable[[str, int], None]


def write_language(
    folder: Path, config: LanguageConfig, tensors: Mapping[str, Tensor], kind: Kind, progress: Progress | None = None
) -> None:
    """Write `language.gguf`. K-quants (q6_k, q5_k_m, q4_k_m) are made by llama.cpp from a file in half precision, which
    lies beside it in the meantime.

    Args:
        tensors: as in `gguf_file.write`.
        progress: called for each tensor with "language" and its stored size in bytes.

    Raises:
        SeedxError: an unknown kind, or a disk without room for half precision.
        MissingPackageError: gguf is not installed; for K-quants also llama-cpp-python.
    """
    if kind not in KINDS:
        raise SeedxError(f"a GGUF file is of kind {', '.join(KINDS)}, not {kind!r}")
    report = functools.partial(progress, "language") if progress else None
    if kind == "f16" or kind == "q8_0" or kind == "q4_0":
        gguf_file.write(folder / native.GGUF, config, tensors, kind, report)
        return
    llama_cpp.package()  # its lack shows before the long work
    needed = 3 * sum(tensor.numel() for tensor in tensors.values())  # half precision, and at most half of that again
    if (free := shutil.disk_usage(folder).free) < needed:
        raise SeedxError(
            f"{kind} is made from half precision, and takes {needed / 1e9:.1f} GB on the way; {folder} has "
            f"{free / 1e9:.1f} GB free: make room, or choose q4_0 or q8_0, which need none"
        )
    half = folder / "half.gguf"
    try:
        gguf_file.write(half, config, tensors, "f16", report)
        quantize(half, folder / native.GGUF, kind)
    finally:
        half.unlink(missing_ok=True)


def quantize(source: Path, target: Path, kind: Kind) -> None:
    """Let llama.cpp quantise a GGUF file.

    Raises:
        MissingPackageError: llama-cpp-python is not installed.
        SeedxError: llama.cpp can't do it.
    """
    llama = llama_cpp.package()
    settings = llama.llama_model_quantize_default_params()
    settings.ftype = getattr(llama, f"LLAMA_FTYPE_MOSTLY_{kind.upper()}")
    settings.nthread = torch.get_num_threads()
    settings.max_buf_size = 1024**3
    if code := llama.llama_model_quantize(os.fsencode(source), os.fsencode(target), settings):
        raise SeedxError(f"llama.cpp could not quantise {source} to {kind} (code {code}){llama_cpp.last_words()}")


def convert_folder(
    model: str | Path,
    target: str | Path,
    kind: Kind,
    dtype: torch.dtype | None = None,
    progress: Progress | None = None,
) -> None:
    """Write a model folder again, with its language model as GGUF. The other parts are linked, or copied.

    Args:
        model: "tiny" (bundled), a folder, or a hub id.
        dtype: precision to store the other parts in; None: as they are.
        progress: called for each tensor with its part and its stored size in bytes.

    Raises:
        SeedxError: no such model, or weights that do not fit its config.json; and as `write_language`.
    """
    folder = locate(model)
    config = native.read_config(folder)
    parts = modules(*build(config))
    expected = {part: part_state(part, module) for part, module in parts.items()}
    expected[native.other_name(config)] = part_state("detokenizer", native.other_stage(config))
    files = {part: weights.find(folder, part) for part in expected}
    report = mapped.forgetting([file for each in files.values() for file in each], progress)
    with native.replacing(target) as aside:
        native.write_config(config, aside)
        tokenizer.load(folder).save(aside)
        write_language(
            aside, config.language, native.read_part(folder, "language", expected.pop("language")), kind, report
        )
        for part, state in expected.items():
            if part == native.other_name(config) and not files[part]:
                continue
            tensors = native.read_part(folder, part, state)
            if dtype is None:
                _link(folder, part, files[part], aside)
            else:
                weights.write(aside, part, tensors, dtype, progress=functools.partial(report, part))


def _link(folder: Path, part: str, files: list[Path], aside: Path) -> None:
    index = folder / f"{part}.safetensors.index.json"
    for file in [*files, *([index] if index.is_file() else [])]:
        try:
            os.link(file.resolve(), aside / file.name)
        except OSError:  # another disk, or one without hard links
            shutil.copy2(file, aside / file.name)
