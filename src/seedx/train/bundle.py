"""Makes the bundled model of what the stages have written: `python -m seedx.train.bundle runs/tiny`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from seedx import checkpoint
from seedx.config import PRESETS
from seedx.tokenizer import load


def bundle(
    folder: Path,
    target: Path = checkpoint.BUNDLED["tiny"],
    preset: str = "tiny",
    dtype: Literal["float16", "bfloat16", "float32"] = "float16",
) -> None:
    """Write a model folder from the weights of all stages, held against the preset's names and shapes.

    Args:
        folder: of the trained parts: vision, vae, detokenizer, language, bridge, and the tokenizer.
        target: the model folder to write.
        preset: the sizes that were trained.
        dtype: to store; half precision halves the files, and inference on the CPU computes in float32 all the same.

    Raises:
        ValueError: a part is missing or does not fit the preset, or the tokenizer is not as large as the vocabulary.
    """
    config, tokenizer = PRESETS[preset], load(folder)
    if tokenizer.vocab_size > config.language.vocab_size:
        raise ValueError(f"the tokenizer has {tokenizer.vocab_size} ids, the model {config.language.vocab_size}")
    with checkpoint.replacing(target) as aside:
        checkpoint.write_config(config, aside)
        tokenizer.save(aside)
        for part, module in checkpoint.modules(*checkpoint.build(config)).items():
            expected = checkpoint.part_state(part, module)
            tensors = checkpoint.checked(checkpoint.read(folder, part), expected, f"{folder.name}/{part}")
            checkpoint.write(aside, part, tensors, getattr(torch, dtype))


if __name__ == "__main__":
    import tyro

    tyro.cli(bundle, config=(tyro.conf.PositionalRequiredArgs,))
