"""SEED-X: one model that reads text and images, answers in text and boxes, draws and edits.

model = seedx.load("tiny")
model.chat("what is on the left?", images=["a.png"]).text
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seedx.inference.pipeline import Pipeline

__all__ = ["__version__", "load"]

__version__ = "0.1.0"


def load(name: str | Path = "tiny", **options: Any) -> Pipeline:
    """Load a model: "tiny" (bundled), a folder, or a hub id. Options and errors are those of `pipeline.load`.

    Importing `seedx` costs nothing; torch is imported here.
    """
    from seedx.inference import pipeline

    return pipeline.load(name, **options)
