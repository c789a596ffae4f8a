"""A model folder written in the names and files of the release: the way back of `release.convert`.

    qwen_vit_G.pt                                    the visual tokenizer
    agent/pytorch_model.bin                          both resamplers and the tile positions
    llm/                                             the language model, as transformers stores a Llama
    seed_detokenizer/second_stage/pytorch_model.bin  the de-tokenizer with its whole U-Net; or first_stage
    vae/                                             the autoencoder, as diffusers stores one
    tokenizer/

SDXL's own `unet` folder is not written: the de-tokenizer's file has every weight of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from seedx import tokenizer
from seedx.checkpoint import native, weights
from seedx.checkpoint.hub import locate
from seedx.checkpoint.parts import build, modules, part_state
from seedx.checkpoint.release import to_release

SHARD_BYTES = 5 * 1000**3  # as transformers splits files by default


def write_release(
    name: str | Path,
    target: str | Path,
    dtype: torch.dtype | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> None:
    """Write a model so that the release's code, or `release.convert`, reads it.

    Args:
        name: "tiny", a model folder, or a hub id.
        target: a new or an empty folder.
        dtype: precision to store; None: as it is in the model folder.
        progress: called for each tensor with its part and its stored size in bytes.

    Raises:
        SeedxError: no such model, `target` is not empty, or a weight is missing, unknown or of another shape.
    """
    folder = locate(name)
    config = native.read_config(folder)
    seedx, detokenizer = build(config)
    parts = modules(seedx, detokenizer)
    stage = "second_stage" if config.detokenizer.condition else "first_stage"

    def official(part: str, name: str) -> dict[str, Tensor]:
        return to_release(name, native.read_part(folder, part, part_state(part, parts[part])))

    def report(part: str) -> Callable[[int], None] | None:
        return functools.partial(progress, part) if progress else None

    with native.replacing(target) as aside:
        for place in ("agent", "llm", f"seed_detokenizer/{stage}", "vae", "tokenizer"):
            (aside / place).mkdir(parents=True)
        tokenizer.load(folder).save(aside / "tokenizer")
        for part, name, file in (
            ("vision", "visual_encoder", "qwen_vit_G.pt"),
            ("bridge", "agent", "agent/pytorch_model.bin"),
            ("detokenizer", stage, f"seed_detokenizer/{stage}/pytorch_model.bin"),
        ):
            _save_bin(official(part, name), aside / file, dtype, report(part))
        seedx.language.llm.config.save_pretrained(aside / "llm")
        weights.write(aside / "llm", "model", official("language", "llm"), dtype, SHARD_BYTES, report("language"))
        detokenizer.vae.model.save_config(aside / "vae")
        vae = official("vae", "vae")
        weights.write(aside / "vae", "diffusion_pytorch_model", vae, dtype, SHARD_BYTES, report("vae"))


def _save_bin(
    tensors: dict[str, Tensor], file: Path, dtype: torch.dtype | None, progress: Callable[[int], None] | None
) -> None:
    stored = {}
    for name, tensor in tensors.items():
        stored[name] = tensor.to(dtype) if dtype else tensor
        if progress:
            progress(stored[name].nbytes)
    torch.save(stored, file)
