"""SEED-X: one model that reads text and images, answers in text and boxes, draws and edits.

model = seedx.load("tiny")
model.chat("what is on the left?", images=["a.png"]).text
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seedx.errors import SeedxError

if TYPE_CHECKING:
    import torch

    from seedx.checkpoint.adapters import Adapters
    from seedx.inference.pipeline import Pipeline

__all__ = ["SeedxError", "__version__", "load"]

__version__ = "0.2.0"


def load(
    name: str | Path = "tiny",
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    max_pixels: int | None = None,
    progress: bool = False,
    adapter: Adapters | None = None,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Pipeline:
    """Load a model: "tiny" (bundled), a folder, or a hub id. Arguments and errors are those of `pipeline.load`.

    Importing `seedx` costs nothing; torch is imported here.
    """
    from seedx.inference import pipeline

    return pipeline.load(
        name,
        device=device,
        dtype=dtype,
        max_pixels=max_pixels,
        progress=progress,
        adapter=adapter,
        revision=revision,
        cache_dir=cache_dir,
        local_files_only=local_files_only,
    )
