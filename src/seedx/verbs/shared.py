"""What several verbs share: which model answers, and how results are shown."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seedx.inference.pipeline import Pipeline


@dataclasses.dataclass(frozen=True)
class Source:
    """Which model answers, and where it runs."""

    model: str = "tiny"
    """"tiny" (bundled), a folder, or a hub id."""
    device: str = "cpu"
    """Where it runs: cpu, cuda, mps."""
    max_pixels: int | None = None
    """Pictures with more are refused before they are decoded; by default about 13,000 x 13,000."""

    def load(self) -> Pipeline:
        from seedx.images import MAX_PIXELS
        from seedx.inference import pipeline

        limit = MAX_PIXELS if self.max_pixels is None else self.max_pixels
        return pipeline.load(self.model, device=self.device, max_pixels=limit, progress=sys.stderr.isatty())


TINY = Source()


def print_json(value: Any) -> None:
    import json

    print(json.dumps(value, indent=1))
