"""Tensors of a fixed number of samples, computed once by all ranks together and kept in one file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from seedx.train.engine.parallel import current_world
from seedx.train.feature_cache import entry

CHUNK = 64  # samples that are encoded together; a rank computes whole chunks

_LOG = logging.getLogger(__name__)


def cached_arrays(
    folder: Path, name: str, key: str, count: int, compute: Callable[[range], dict[str, Tensor]]
) -> dict[str, Tensor]:
    """Tensors of `count` rows by name: FOLDER/NAME-KEY. If the file is missing, each rank computes its part of the
    rows, and the first one writes the file; files of the same name with other keys are removed.

    Args:
        key: changes whenever the result of `compute` does, see `digest`.
        compute: the rows of a range, which starts at a multiple of `CHUNK`.
    """
    ranks, file = current_world(), folder / f"{name}-{key}"
    stored = _read(file)
    if all(ranks.gather(stored is not None)):
        assert stored is not None
        return stored
    chunks = -(-count // CHUNK)
    start, end = (min(count, chunks * rank // ranks.size * CHUNK) for rank in (ranks.rank, ranks.rank + 1))
    parts = [part for part in ranks.gather(compute(range(start, end)) if start < end else {}) if part]
    whole = {tensor: torch.cat([part[tensor] for part in parts]) for tensor in parts[0]}
    if ranks.first:
        entry.write(file, whole)
        for old in folder.glob(f"{name}-*"):
            if old != file:
                old.unlink()
    ranks.barrier()  # no rank looks for the file before it is there
    return whole


def _read(file: Path) -> dict[str, Tensor] | None:
    try:
        return entry.read(file)
    except entry.DamagedEntryError:
        _LOG.warning("%s was damaged; it is computed again", file)
        return None
