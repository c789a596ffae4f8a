"""The frozen visual tokenizer's features of pictures, computed once and kept on disk.

An entry (`entry.py`) is a file, named by the content of a tile's pixels in a folder named by the model:

    FOLDER / model (its digest and the precision of the entries) / 3f / 9c0e...

A damaged entry is computed again. Nothing is held in memory: recent entries are in the system's page cache. Any entry
may be deleted at any time, and the whole folder between runs.

Features have the precision of the entries also the first time, so an epoch that fills the cache trains on the same
numbers as those that read it.

Shapes: N tiles of side S; Q features of width D each.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from seedx.config import to_dict
from seedx.errors import SeedxError
from seedx.model.vision import VisionTransformer
from seedx.train.feature_cache import entry
from seedx.train.feature_cache.digest import SIZE, digest, tensor_bytes

STALE = 3600  # seconds after which a temporary file must be a killed process's

_LOG = logging.getLogger(__name__)


class FeatureCache:
    """`cache.features(pixels)` in place of `encode(pixels)`.

    Args:
        folder: created if missing; processes and models may share it.
        encode: (N, 3, S, S) -> (N, Q, D), deterministic: a frozen model.
        model: changes whenever `encode` does; for a visual tokenizer, `vision_digest(vision)`.
        dtype: of the entries: float16 or bfloat16 (2 MB a tile in the 17B model), or float32 to keep every bit.
        batch: tiles encoded at a time.
        free: bytes that stay free on the disk; nothing more is stored then, and one warning is logged.

    Attributes:
        hits, misses: tiles found and not found.
        broken: damaged entries; each is a miss, too.

    Raises:
        SeedxError: a dtype that is not floating, or a batch below 1.
    """

    def __init__(
        self,
        folder: str | Path,
        encode: Callable[[Tensor], Tensor],
        model: str,
        *,
        dtype: torch.dtype = torch.float16,
        batch: int = 32,
        free: int = 2**30,
    ) -> None:
        if not dtype.is_floating_point or batch < 1:
            raise SeedxError(f"a feature cache needs a floating dtype and a batch of 1 or more, not {dtype}, {batch}")
        self.encode, self.dtype, self.batch, self.free = encode, dtype, batch, free
        self.folder = Path(folder) / f"{model}-{str(dtype).removeprefix('torch.')}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.hits = self.misses = self.broken = 0
        self.full = False
        _remove_stale(self.folder)

    @torch.no_grad()
    def features(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S), normalised or uint8 -> (N, Q, D) on the same device, in float32 or, if floating, pixels' dtype.

        Raises:
            SeedxError: no tiles, or features too large for the precision of the entries.
        """
        if not len(pixels):
            raise SeedxError("a feature cache needs at least one tile")
        keys = [_key(tile) for tile in pixels.cpu()]
        found = {key: self._read(key) for key in dict.fromkeys(keys)}
        self.hits += sum(found[key] is not None for key in keys)
        self.misses += sum(found[key] is None for key in keys)
        missing = [key for key, features in found.items() if features is None]
        for start in range(0, len(missing), self.batch):
            chunk = missing[start : start + self.batch]
            tiles = pixels[[keys.index(key) for key in chunk]]
            for key, features in zip(chunk, self._rounded(self.encode(tiles)), strict=True):
                found[key] = features
                self._write(key, features)
        out = pixels.dtype if pixels.is_floating_point() else torch.float32
        return torch.stack([found[key] for key in keys]).to(pixels.device, out)  # type: ignore[misc]

    def _rounded(self, features: Tensor) -> Tensor:
        rounded = features.to("cpu", self.dtype)
        if not rounded.isfinite().all() and features.isfinite().all():
            largest = f"{features.abs().max():.3g}"
            raise SeedxError(f"the features reach {largest}, too large for {self.dtype}: cache them in float32")
        return rounded

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key[2:]

    def _read(self, key: str) -> Tensor | None:
        """The entry (Q, D); None if it is missing or damaged."""
        try:
            found = entry.read(self._path(key))
        except entry.DamagedEntryError:
            self.broken += 1
            return None
        return found["features"] if found else None

    def _write(self, key: str, features: Tensor) -> None:
        """Store (Q, D). A full disk does not stop a run."""
        if self.full or not features.isfinite().all():  # a value that is not finite is an accident, not a feature
            return
        try:
            entry.write(self._path(key), {"features": features}, self.free)
        except OSError as error:
            self.full = True
            _LOG.warning("the feature cache in %s stores nothing more: %s", self.folder, error)


def vision_digest(vision: VisionTransformer, precision: str = "") -> str:
    """The digest of a visual tokenizer: its weights, sizes and code.

    Args:
        vision: before it is sharded.
        precision: of autocast.
    """
    settings = {"config": to_dict(vision.config), "precision": precision}
    return digest([vision], settings, [VisionTransformer.__module__])


def _key(tile: Tensor) -> str:
    """By the pixels themselves: the same picture under another name is the same entry."""
    made = hashlib.blake2b(f"{tuple(tile.shape)} {tile.dtype}".encode(), digest_size=SIZE)
    made.update(tensor_bytes(tile))
    return made.hexdigest()


def _remove_stale(folder: Path) -> None:
    for file in folder.glob("*/.*.part"):
        try:
            if time.time() - file.stat().st_mtime > STALE:
                file.unlink()
        except FileNotFoundError:  # another process renamed or removed it
            pass
