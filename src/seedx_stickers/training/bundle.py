"""Bundles the model that the stages trained: `python -m seedx_stickers.training.bundle runs/tiny`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from seedx.checkpoint import native, weights
from seedx.checkpoint.parts import build, modules, part_state
from seedx.config import PRESETS
from seedx.errors import SeedxError
from seedx.tokenizer import load
from seedx_stickers import bundled


def bundle(
    folder: Path,
    target: Path | None = None,
    preset: str = "tiny",
    dtype: Literal["float16", "bfloat16", "float32"] = "float16",
) -> None:
    """Write a model folder from the weights of all stages, after checking their names and shapes.

    Args:
        folder: holds the trained parts (vision, vae, detokenizer, language, bridge) and the tokenizer.
        target: the model folder to write; None: that of the bundled model.
        preset: the sizes of the trained model.
        dtype: of the stored weights; inference on the CPU computes in float32 anyway.

    Raises:
        SeedxError: a part is missing or does not fit the preset, or the tokenizer is larger than the vocabulary.
    """
    config, tokenizer = PRESETS[preset], load(folder)
    if tokenizer.vocab_size > config.language.vocab_size:
        raise SeedxError(
            f"the tokenizer has {tokenizer.vocab_size} ids, but the preset {preset!r} only {config.language.vocab_size}"
        )
    with native.replacing(target or bundled.tiny()) as aside:
        native.write_config(config, aside)
        tokenizer.save(aside)
        for part, module in modules(*build(config)).items():
            tensors = native.read_part(folder, part, part_state(part, module))
            weights.write(aside, part, tensors, getattr(torch, dtype))


if __name__ == "__main__":
    import tyro

    tyro.cli(bundle, config=(tyro.conf.PositionalRequiredArgs,))
