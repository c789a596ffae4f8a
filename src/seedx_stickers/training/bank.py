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
from seedx.train.engine.parallel import current_world
from seedx_stickers.scenes import Scene
from seedx_stickers.training.pixels import as_tile, scene_pixels

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
    """The bank of scenes `draw(random.Random(f"{stream}/{i}"))`; read from `path` if there is one of these models, and
    otherwise made by all ranks together."""
    key = fingerprint(vae, *([vision] if vision else [])) + f"/{stream}/{count}"

    def encoded(rows: range) -> dict[str, Tensor]:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            parts = [_encode(scenes, vision, vae) for scenes in _chunks(stream, rows, draw)]
        latents, features = (torch.cat(column) for column in zip(*parts, strict=True))
        return {"latents": latents, "features": features}

    return Bank(**kept(path, key, count, encoded))


def kept(path: Path, key: str, count: int, make: Callable[[range], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Tensors of `count` rows by name: read from a file, if it holds those of `key`. If not, each of the ranks makes
    its part of the rows, and the first writes the file.

    Args:
        make: the rows of a range, which starts at a multiple of `CHUNK`.
    """
    ranks = current_world()
    stored = _stored(path, key)
    if all(ranks.gather(stored is not None)):
        assert stored is not None
        return stored
    chunks = -(-count // CHUNK)
    start, end = (min(count, chunks * rank // ranks.size * CHUNK) for rank in (ranks.rank, ranks.rank + 1))
    parts = [part for part in ranks.gather(make(range(start, end)) if start < end else {}) if part]
    whole = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    if ranks.first:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".part")
        save_file({**whole, "key": torch.tensor(list(key.encode()), dtype=torch.uint8)}, aside)
        aside.replace(path)
    ranks.gather(None)  # none goes on, and looks for the file, before it is there
    return whole


def _stored(path: Path, key: str) -> dict[str, Tensor] | None:
    """What the file holds, if there is one and it is of this key."""
    if not path.exists():
        return None
    stored = load_file(path)
    return stored if bytes(stored.pop("key").tolist()).decode() == key else None


def fingerprint(*modules: torch.nn.Module) -> str:
    """Changes with any weight of the modules."""
    digest = hashlib.sha256()
    for module in modules:
        for tensor in module.state_dict().values():
            digest.update(tensor.float().numpy().tobytes())
    return digest.hexdigest()[:16]


def _chunks(stream: str, rows: range, draw: Callable[[random.Random], Scene]) -> Iterator[list[Scene]]:
    for start in tqdm(rows[::CHUNK], desc=f"encoding {stream}", mininterval=5, disable=not current_world().first):
        yield [draw(random.Random(f"{stream}/{i}")) for i in range(start, min(rows.stop, start + CHUNK))]


def _encode(scenes: list[Scene], vision: VisionTransformer | None, vae: Autoencoder) -> tuple[Tensor, Tensor]:
    pixels = torch.stack([scene_pixels(scene) for scene in scenes])
    features = (
        pool_features(vision(as_tile(pixels)), vision.config.pool) if vision else pixels.new_zeros(len(pixels), 0)
    )
    return vae.mode(pixels).half(), features.half()
