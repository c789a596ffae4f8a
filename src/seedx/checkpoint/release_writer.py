"""A model folder written in the names and files of the release: the way back of `convert`.

    qwen_vit_G.pt                                    the visual tokenizer
    agent/pytorch_model.bin                          both resamplers and the tile positions
    llm/                                             the language model, as transformers stores a Llama
    seed_detokenizer/second_stage/pytorch_model.bin  the de-tokenizer with its whole U-Net; first_stage, too, or alone
    unet/config.json                                 the sizes of the U-Net, as diffusers writes them
    vae/                                             the autoencoder, as diffusers stores one
    tokenizer/

SDXL's own U-Net is not written: the de-tokenizer's file has every weight of it. In peft's names, the language model is
in agent/pytorch_model.bin, as the release's fine-tuning saves it, and `llm` has its config.json alone.
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
from seedx.checkpoint.layouts import STAGES, stage_folder
from seedx.checkpoint.parts import build, modules, part_state
from seedx.checkpoint.peft_names import to_peft
from seedx.checkpoint.release import to_release
from seedx.config import Config, LoraConfig
from seedx.errors import SeedxError
from seedx.variants import variant_of

SHARD_BYTES = 5 * 1000**3  # as transformers splits files by default


def write_release(
    name: str | Path,
    target: str | Path,
    dtype: torch.dtype | None = None,
    progress: Callable[[str, int], None] | None = None,
    *,
    peft: bool = False,
) -> None:
    """Write a model so that the release's code, or `convert`, reads it.

    Args:
        name: "tiny", a model folder, or a hub id.
        target: a new or an empty folder.
        dtype: precision to store; None: as it is in the model folder.
        progress: called for each tensor with its part and its size in bytes.
        peft: the language model in peft's names with fresh LoRA of the config's rank, which changes nothing yet.

    Raises:
        SeedxError: no such model, `target` is not empty, or a weight is missing, unknown or of another shape.
    """
    folder = locate(name)
    config = native.read_config(folder)
    if not variant_of(config).language:
        raise SeedxError(f"{folder} has no language model: --to writes whole models")
    source = _Source(folder, config, dtype, progress)
    stages = {STAGES[config.detokenizer.condition]: "detokenizer"}
    other = native.other_name(config)
    if weights.find(folder, other):
        stages[other] = other
    with native.replacing(target) as aside:
        places = {stage: stage_folder(config.variant, stage) for stage in stages}
        for place in ("agent", "llm", *places.values(), "vae", "tokenizer", "unet"):
            (aside / place).mkdir(parents=True)
        tokenizer.load(folder).save(aside / "tokenizer")
        torch.save(source.stored("vision", "visual_encoder"), aside / "qwen_vit_G.pt")
        for stage, part in stages.items():
            torch.save(source.stored(part, stage), aside / places[stage] / "pytorch_model.bin")
        agent = source.stored("bridge", "agent")
        if peft:
            rank = (config.language.lora or LoraConfig()).rank
            llm = to_peft(source.stored("language", "llm"), rank)
            agent |= {f"llm.{name}": tensor for name, tensor in llm.items()}
        else:
            source.write("language", "llm", aside / "llm", "model")
        torch.save(agent, aside / "agent" / "pytorch_model.bin")
        source.write("vae", "vae", aside / "vae", "diffusion_pytorch_model")
        source.seedx.language.llm.config.save_pretrained(aside / "llm")
        source.detokenizer.unet.save_config(aside / "unet")
        source.detokenizer.vae.model.save_config(aside / "vae")


class _Source:
    """A model folder's parts under the release's names, mapped from the disk."""

    def __init__(
        self, folder: Path, config: Config, dtype: torch.dtype | None, progress: Callable[[str, int], None] | None
    ) -> None:
        self.folder, self.dtype, self.progress = folder, dtype, progress
        self.seedx, self.detokenizer = build(config)
        self.modules = modules(self.seedx, self.detokenizer) | {native.other_name(config): native.other_stage(config)}

    def official(self, part: str, theirs: str) -> dict[str, Tensor]:
        """One part, checked against its module."""
        expected = part_state("detokenizer" if theirs in STAGES else part, self.modules[part])
        return to_release(theirs, native.read_part(self.folder, part, expected))

    def stored(self, part: str, theirs: str) -> dict[str, Tensor]:
        """The same in the precision to store."""
        return weights.stored(self.official(part, theirs), self.dtype, self._report(part))

    def write(self, part: str, theirs: str, folder: Path, file: str) -> None:
        """The same as safetensors, in shards where it is large."""
        weights.write(folder, file, self.official(part, theirs), self.dtype, SHARD_BYTES, self._report(part))

    def _report(self, part: str) -> Callable[[int], None] | None:
        return functools.partial(self.progress, part) if self.progress else None
