"""A release with random weights of any size, in the files that people download, written block by block.

Tensors are never whole in memory: a file's directory is written first, then its bytes from one block of noise, from a
place of each tensor's own on. Norms are ones, biases zeros, everything else normal with a deviation of 0.02, so that
what the modules give is finite. A part that is there is not written again.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.serialization import skip_data

from seedx.checkpoint import native
from seedx.checkpoint.parts import build, modules, part_state
from seedx.checkpoint.release import to_release
from seedx.config import Config
from seedx.tokenizer import train_tokenizer

VARIANT = "seed_x_i"
BLOCK = 64 * 2**20  # bytes
SHARD = 5 * 10**9  # bytes of a file of the language model
DEVIATION = 0.02
NAMES = {torch.bfloat16: "BF16", torch.float32: "F32"}  # of safetensors


class Noise:
    """A block of normal values, from which tensors of any size are written."""

    def __init__(self, dtype: torch.dtype) -> None:
        generator = torch.Generator().manual_seed(0)
        self.dtype, self.width = dtype, dtype.itemsize
        values = torch.randn(BLOCK // self.width, generator=generator) * DEVIATION
        self.block = values.to(dtype).view(torch.uint8).numpy().data

    def write(self, file: BinaryIO, name: str, shape: torch.Size) -> None:
        left = shape.numel() * self.width
        if len(shape) == 1:
            value = torch.ones if name.endswith("weight") else torch.zeros
            file.write(value(shape, dtype=self.dtype).view(torch.uint8).numpy().tobytes())
            return
        start = zlib.crc32(name.encode()) % (BLOCK // self.width) * self.width
        while left:
            piece = self.block[start : start + left]
            file.write(piece)
            left, start = left - len(piece), 0


def release(config: Config, folder: Path) -> Iterator[str]:
    """Write `seed_x_i` of these sizes into a folder; yields each part that was written."""
    half, full = Noise(torch.bfloat16), Noise(torch.float32)
    seedx, detokenizer = build(config)
    first = detokenizer if not config.detokenizer.condition else native.other_stage(config)
    parts = modules(seedx, detokenizer)

    def official(part: str, theirs: str) -> Mapping[str, Tensor]:
        return to_release(theirs, part_state(part, first if part == "detokenizer" else parts[part]))

    model, sdxl = folder / VARIANT, folder / "stable-diffusion-xl-base-1.0"
    for place in (model / "llm", sdxl / "unet", sdxl / "vae"):
        place.mkdir(parents=True, exist_ok=True)
    seedx.language.llm.config.save_pretrained(model / "llm")
    first.unet.save_config(sdxl / "unet")
    detokenizer.vae.model.save_config(sdxl / "vae")
    if tokenizer(folder / "cvlm_llama2_tokenizer_100img_and_224loc_addpatch", config.language.vocab_size):
        yield "tokenizer"
    for part, theirs, file in (
        ("vision", "visual_encoder", folder / "QwenViT" / "qwen_vit_G.pt"),
        ("bridge", "agent", model / "agent" / "pytorch_model.bin"),
        ("detokenizer", "first_stage", folder / "seed_detokenizer" / "first_stage" / "pytorch_model.bin"),
    ):
        if pickled(file, official(part, theirs), half):
            yield part
    if safetensors(sdxl / "vae", "diffusion_pytorch_model", official("vae", "vae"), full):
        yield "vae"
    if safetensors(model / "llm", "model", official("language", "llm"), half):
        yield "language"


def tokenizer(folder: Path, vocabulary: int) -> bool:
    """A tokenizer of that many ids, trained on words that were made up."""
    if (folder / "tokenizer.json").is_file():
        return False
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(0)
    letters = "eeeaaatttoooiiinnnssshhhrrrdddlllcuuummmwwwfffgggyyypppbbbvvkkjxqz"
    words = ["".join(rng.choices(letters, k=rng.randint(3, 9))) for _ in range(2 * vocabulary)]
    made = train_tokenizer([" ".join(words)], vocabulary)
    assert made.vocab_size == vocabulary, (made.vocab_size, vocabulary)
    made.save(folder)
    return True


def pickled(file: Path, shapes: Mapping[str, Tensor], noise: Noise) -> bool:
    """A file as torch.save writes it. Its tensors are made without touching their memory, and filled on the disk."""
    if file.is_file():
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_suffix(".part")
    with skip_data():
        torch.save({name: torch.empty(t.shape, dtype=noise.dtype) for name, t in shapes.items()}, aside)
    with FakeTensorMode():
        places = {name: t.untyped_storage()._checkpoint_offset for name, t in torch.load(aside).items()}
    with aside.open("r+b") as opened:
        for name, tensor in shapes.items():
            opened.seek(places[name])
            noise.write(opened, name, tensor.shape)
    aside.replace(file)
    return True


def safetensors(folder: Path, stem: str, shapes: Mapping[str, Tensor], noise: Noise) -> bool:
    """One file or shards with an index, as transformers and diffusers store them."""
    meta = {name: torch.empty(t.shape, dtype=noise.dtype, device="meta") for name, t in shapes.items()}
    split = split_torch_state_dict_into_shards(
        meta, filename_pattern=f"{stem}{{suffix}}.safetensors", max_shard_size=SHARD
    )
    missing = [name for name in split.filename_to_tensors if not (folder / name).is_file()]
    for filename in missing:
        aside = folder / f"{filename}.part"
        with aside.open("wb") as opened:
            names = split.filename_to_tensors[filename]
            opened.write(header({name: meta[name] for name in names}))
            for name in names:
                noise.write(opened, name, meta[name].shape)
        aside.replace(folder / filename)
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(index))
    return bool(missing)


def header(tensors: Mapping[str, Tensor]) -> bytes:
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.numel() * tensor.dtype.itemsize
        entries[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
