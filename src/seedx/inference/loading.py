"""What `seedx.load` does: find a model, load it, and give it to an engine.

An option of loading has one home here: its name and type in `LoadOptions`, its default and its use in `load_engine`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import torch

from seedx.checkpoint import native
from seedx.checkpoint.hub import Hub
from seedx.errors import SeedxError
from seedx.images import MAX_PIXELS
from seedx.inference.engine import Engine


class LoadOptions(TypedDict, total=False):
    """How a model is loaded.

    Attributes:
        device: where it runs: "cpu" (the default), "cuda", "cuda:1", "mps".
        dtype: of the weights; None: float32 on the CPU, bfloat16 elsewhere.
        max_pixels: pictures with more are refused before they are decoded; None: `images.MAX_PIXELS`.
        progress: show a bar on stderr when drawing takes longer than a second.
        revision: of a hub id: a branch, tag or commit; None: the main branch.
        cache_dir: where downloads are kept; None: the cache of huggingface_hub.
        local_files_only: use what was downloaded before, without the network.
    """

    device: str | torch.device
    dtype: torch.dtype | None
    max_pixels: int | None
    progress: bool
    revision: str | None
    cache_dir: str | Path | None
    local_files_only: bool


def load_engine(
    name: str | Path = "tiny",
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    max_pixels: int | None = None,
    progress: bool = False,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Engine:
    """A loaded model, ready to reply. The options are those of `LoadOptions`.

    Args:
        name: "tiny" (bundled), a folder, or a hub id "organisation/name".

    Raises:
        SeedxError: no such model, weights that do not fit its config.json, or a device that is not there.
    """
    check_device(device)
    hub = Hub(revision, cache_dir, local_files_only)
    limit = MAX_PIXELS if max_pixels is None else max_pixels
    return Engine(native.load(name, device, dtype, hub), max_pixels=limit, progress=progress)


def check_device(device: str | torch.device) -> None:
    """
    Raises:
        SeedxError: torch knows no such device here.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SeedxError(f"torch can't use the device {str(device)!r} here: {str(error).splitlines()[0]}") from error
