"""SEED-X: one model that reads text and images, answers in text and boxes, draws and edits.

model = seedx.load("tiny")
model.chat("what is on the left?", images=["a.png"]).text
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seedx.errors import SeedxError

if TYPE_CHECKING:
    from typing import Unpack

    from seedx.inference.loading import LoadOptions
    from seedx.inference.pipeline import Pipeline

__all__ = ["SeedxError", "__version__", "load"]

__version__ = "0.2.0"


def load(name: str | Path = "tiny", **options: Unpack[LoadOptions]) -> Pipeline:
    """Load a model for inference.

    Importing `seedx` costs nothing; torch is imported here.

    Args:
        name: "tiny" (bundled), a folder, or a hub id "organisation/name".
        options: those of `seedx.inference.loading.LoadOptions`: device, dtype, max_pixels, progress, adapter,
            revision, cache_dir, local_files_only.

    Raises:
        SeedxError: no such model, weights that do not fit its config.json, a device that is not there, or an adapter
            that is none or another model's.
    """
    from seedx.inference import pipeline

    return pipeline.load(name, **options)
