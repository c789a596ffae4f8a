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
        progress: called for each tensor with its part and its size in bytes.

    Raises:
        SeedxError: no such model, `target` is not empty, or a weight is missing, unknown or of another shape.
    """
    folder = locate(name)
    config = native.read_config(folder)
    seedx, detokenizer = build(config)
    parts = modules(seedx, detokenizer)

    def official(part: str, theirs: str) -> dict[str, Tensor]:
        """One part under the release's names, mapped from the disk."""
        return to_release(theirs, native.read_part(folder, part, part_state(part, parts[part])))

    def report(part: str) -> Callable[[int], None] | None:
        return functools.partial(progress, part) if progress else None

    stage = "second_stage" if config.detokenizer.condition else "first_stage"
    with native.replacing(target) as aside:
        for place in ("agent", "llm", f"seed_detokenizer/{stage}", "vae", "tokenizer"):
            (aside / place).mkdir(parents=True)
        tokenizer.load(folder).save(aside / "tokenizer")
        for part, theirs, file in (
            ("vision", "visual_encoder", "qwen_vit_G.pt"),
            ("bridge", "agent", "agent/pytorch_model.bin"),
            ("detokenizer", stage, f"seed_detokenizer/{stage}/pytorch_model.bin"),
        ):
            torch.save(weights.stored(official(part, theirs), dtype, report(part)), aside / file)
        seedx.language.llm.config.save_pretrained(aside / "llm")
        detokenizer.vae.model.save_config(aside / "vae")
        for part, theirs, name in (("language", "llm", "model"), ("vae", "vae", "diffusion_pytorch_model")):
            weights.write(aside / theirs, name, official(part, theirs), dtype, SHARD_BYTES, report(part))
