"""Options that several verbs share: which model answers, and how."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedx.checkpoint.placement import Dtype, Memory
from seedx.errors import SeedxError
from seedx.inference.settings import CacheName, DrawSettings, EngineName, Settings

if TYPE_CHECKING:
    from seedx.inference.loading import LoadOptions
    from seedx.inference.pipeline import Pipeline


@dataclasses.dataclass(frozen=True)
class Source:
    """Which model answers, and where it runs."""

    model: str = "tiny"
    """"tiny" (bundled), a folder, or a hub id."""
    adapter: str | None = None
    """Folder of an adapter, which the model answers and draws with."""
    device: str = "cpu"
    """Where the model runs: cpu, cuda, mps."""
    dtype: Dtype | None = None
    """Precision of the weights; by default float32 on the CPU, and bfloat16 elsewhere and with --memory cpu."""
    memory: Memory = "full"
    """How to fit: full; 24gb or 12gb, for a GPU of that memory; cpu, for 24 GB of RAM."""
    max_pixels: int | None = None
    """Images with more pixels are refused before they are decoded; by default about 13,000 x 13,000."""
    engine: EngineName | None = None
    """Who runs the language model: torch, or llama_cpp from a GGUF file; by default what the model's folder has."""
    gguf: Path | None = None
    """A GGUF file of the model's language model, for llama_cpp; by default the one in its folder."""
    threads: int | None = None
    """Threads of llama.cpp; by default as many as torch uses."""
    repack: bool = True
    """llama.cpp keeps quantised weights a second time, in a faster order; without, it takes half the memory."""
    cache: CacheName = "dynamic"
    """Of the language model in torch; static: shapes and memory stay the same from token to token."""
    compile: bool = False
    """Let torch compile decoding and the U-Net when they first run; the cache is then static."""

    def load(self, progress: bool = True) -> Pipeline:
        """
        Args:
            progress: show a bar in a terminal when drawing takes longer than a second.

        Raises:
            SeedxError: there is no such model or device.
        """
        from seedx.inference import pipeline

        return pipeline.load(self.model, **self.options(progress and sys.stderr.isatty()))

    def options(self, progress: bool = False) -> LoadOptions:
        """All but the model's name, as `seedx.load` takes it."""
        import torch

        return {
            "adapter": self.adapter,
            "device": self.device,
            "dtype": getattr(torch, self.dtype) if self.dtype else None,
            "memory": self.memory,
            "max_pixels": self.max_pixels,
            "progress": progress,
            "engine": self.engine,
            "gguf": self.gguf,
            "threads": self.threads,
            "repack": self.repack,
            "cache": self.cache,
            "compile": self.compile,
        }


TINY = Source()
SETTINGS = Settings()
DRAW_SETTINGS = DrawSettings()


def assignments(texts: Iterable[str], option: str = "--set") -> dict[str, Any]:
    """ "steps=10", "name=a" -> {"steps": 10, "name": "a"}: JSON where it is some, text elsewhere.

    Raises:
        SeedxError: one has no "=".
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise SeedxError(f"{option} takes name=value, not {text!r}")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found
