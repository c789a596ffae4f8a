"""What the frozen visual tokenizer makes of pictures, computed once and kept on disk.

An entry is a file, named by the content of a tile's pixels in a folder named by the model:

    FOLDER / model (its weights, configuration and the precision kept) / 3f / 9c0e...    checksum, then safetensors

Files are written aside and renamed, so that any number of processes may share a folder, and a reader sees all of an
entry or none; the checksum finds what a crash or a disk spoiled, and such an entry is computed again. Nothing is held
in memory: what was read lately is in the system's page cache. Any entry may be deleted at any time, and the whole
folder between runs.

Features come back as they are kept, also the first time, so that an epoch that fills the cache trains on the same
numbers as those that read it.

Shapes: N tiles of side S; Q features of width D each.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from seedx.config import to_dict
from seedx.errors import SeedxError
from seedx.model.vision import VisionTransformer

DIGEST = 16  # bytes of every digest
STALE = 3600  # seconds after which a file written aside is what a killed process left

_LOG = logging.getLogger(__name__)


class FeatureCache:
    """`cache.features(pixels)` in place of `encode(pixels)`.

    Args:
        folder: made if it is not there; shared by processes and by models.
        encode: (N, 3, S, S) -> (N, Q, D), deterministic: a frozen model.
        model: changes whenever `encode` does; for a visual tokenizer, `vision_digest(vision)`.
        dtype: what is kept: float16 or bfloat16 (2 MB a tile in the 17B model), or float32 to keep every bit.
        batch: tiles encoded at a time.
        free: bytes that the disk keeps free; nothing more is stored then, and a warning says so once.

    Attributes:
        hits, misses: tiles found and not found.
        broken: entries that were there and damaged; each is a miss too.
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
        self.aside = self.folder / "aside"
        self.aside.mkdir(parents=True, exist_ok=True)
        self.hits = self.misses = self.broken = 0
        self.full = False
        _remove_stale(self.aside)

    @torch.no_grad()
    def features(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S), normalised or uint8 -> (N, Q, D) on the same device, in float32 or, if floating, pixels' dtype.

        Raises:
            SeedxError: no tiles, or features too large for the precision kept.
        """
        if not len(pixels):
            raise SeedxError("a feature cache needs at least one tile")
        keys = [_key(tile) for tile in pixels.cpu()]
        found = {key: self._read(key) for key in dict.fromkeys(keys)}
        self.hits += sum(found[key] is not None for key in keys)
        self.misses += sum(found[key] is None for key in keys)
        missing = [key for key, kept in found.items() if kept is None]
        for start in range(0, len(missing), self.batch):
            chunk = missing[start : start + self.batch]
            tiles = pixels[[keys.index(key) for key in chunk]]
            for key, made in zip(chunk, self._rounded(self.encode(tiles)), strict=True):
                found[key] = made
                self._write(key, made)
        out = pixels.dtype if pixels.is_floating_point() else torch.float32
        return torch.stack([found[key] for key in keys]).to(pixels.device, out)  # type: ignore[misc]

    def _rounded(self, made: Tensor) -> Tensor:
        kept = made.to("cpu", self.dtype)
        if not kept.isfinite().all() and made.isfinite().all():
            raise SeedxError(f"the features reach {made.abs().max():.3g}, too large for {self.dtype}: keep float32")
        return kept

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key[2:]

    def _read(self, key: str) -> Tensor | None:
        """The entry (Q, D); None if there is none, or if it was damaged (and is not there any more)."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _LOG.warning("the feature cache can't read %s: %s", path, error)
            return None
        checksum, data = data[:DIGEST], data[DIGEST:]
        if checksum == _digest(data):
            return safetensors.torch.load(data)["features"]
        self.broken += 1
        path.unlink(missing_ok=True)
        return None

    def _write(self, key: str, kept: Tensor) -> None:
        """Store (Q, D). A disk that is full is no reason to stop a run."""
        if self.full or not kept.isfinite().all():  # what is not finite is an accident, not a feature
            return
        data = safetensors.torch.save({"features": kept.contiguous()})
        try:
            if shutil.disk_usage(self.folder).free < self.free + len(data):
                raise OSError(f"less than {self.free} bytes would be free")
            self._path(key).parent.mkdir(exist_ok=True)
            _replace(self.aside, self._path(key), _digest(data) + data)
        except OSError as error:
            self.full = True
            _LOG.warning("the feature cache in %s stores nothing more: %s", self.folder, error)


def vision_digest(vision: VisionTransformer, how: str = "") -> str:
    """32 hexadecimal digits that change with any weight, name, precision or size of a visual tokenizer.

    Args:
        vision: as it was loaded, before it is spread over ranks.
        how: what else decides its features, such as the precision of autocast.
    """
    return module_digest(vision, json.dumps([to_dict(vision.config), how], sort_keys=True))


def module_digest(module: nn.Module, more: str = "") -> str:
    """32 hexadecimal digits of a module's weights, their names and precision, and of the text `more`."""
    digest = hashlib.blake2b(more.encode(), digest_size=DIGEST)
    for name, tensor in module.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def _key(tile: Tensor) -> str:
    """By the pixels themselves: the same picture under another name is the same entry."""
    digest = hashlib.blake2b(f"{tuple(tile.shape)} {tile.dtype}".encode(), digest_size=DIGEST)
    digest.update(_bytes(tile))
    return digest.hexdigest()


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST).digest()


def _bytes(tensor: Tensor) -> memoryview:
    """A tensor's bytes in memory order, of any dtype (numpy has no bfloat16)."""
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data


def _replace(aside: Path, path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    handle, name = tempfile.mkstemp(dir=aside)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _remove_stale(aside: Path) -> None:
    for file in aside.iterdir():
        try:
            if time.time() - file.stat().st_mtime > STALE:
                file.unlink()
        except FileNotFoundError:  # another process renamed or removed it
            pass
