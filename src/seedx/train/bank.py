"""What frozen parts make of scenes, computed once and kept in memory and on disk: features and latents.

N pictures; Kp pooled features of width D each (float16), latents (C, h, w) each (float16)
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from seedx.model.autoencoder import Autoencoder
from seedx.model.vision import VisionTransformer, pool_features
from seedx.stickers.scenes import Scene
from seedx.train.pixels import as_tile, scene_pixels

CHUNK = 64


@dataclass
class Bank:
    latents: Tensor  # (N, C, h, w), the encoder's mode
    features: Tensor  # (N, Kp, D); (N, 0) where no visual tokenizer was given

    def __len__(self) -> int:
        return len(self.latents)


def fill(
    path: Path,
    stream: str,
    count: int,
    draw: Callable[[random.Random], Scene],
    vision: VisionTransformer | None,
    vae: Autoencoder,
) -> Bank:
    """The bank of scenes `draw(random.Random(f"{stream}/{i}"))`; read from `path` if there is one of these models."""
    key = fingerprint(vae, *([vision] if vision else [])) + f"/{stream}/{count}"
    if path.exists():
        stored = load_file(path)
        if bytes(stored.pop("key").tolist()).decode() == key:
            return Bank(**stored)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        parts = [_encode(scenes, vision, vae) for scenes in _chunks(stream, count, draw)]
    bank = Bank(*(torch.cat(column) for column in zip(*parts, strict=True)))
    path.parent.mkdir(parents=True, exist_ok=True)
    stamp = torch.tensor(list(key.encode()), dtype=torch.uint8)
    save_file({"latents": bank.latents, "features": bank.features, "key": stamp}, path)
    return bank


def fingerprint(*modules: torch.nn.Module) -> str:
    """Changes with any weight of the modules."""
    digest = hashlib.sha256()
    for module in modules:
        for tensor in module.state_dict().values():
            digest.update(tensor.float().numpy().tobytes())
    return digest.hexdigest()[:16]


def _chunks(stream: str, count: int, draw: Callable[[random.Random], Scene]) -> Iterator[list[Scene]]:
    for start in tqdm(range(0, count, CHUNK), desc=f"encoding {stream}", mininterval=5):
        yield [draw(random.Random(f"{stream}/{i}")) for i in range(start, min(count, start + CHUNK))]


def _encode(scenes: list[Scene], vision: VisionTransformer | None, vae: Autoencoder) -> tuple[Tensor, Tensor]:
    pixels = torch.stack([scene_pixels(scene) for scene in scenes])
    features = (
        pool_features(vision(as_tile(pixels)), vision.config.pool) if vision else pixels.new_zeros(len(pixels), 0)
    )
    return vae.mode(pixels).half(), features.half()
