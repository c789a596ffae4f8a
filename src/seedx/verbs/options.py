"""Options that several verbs share: which model answers, and how."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING

from seedx.inference.settings import DrawSettings, Settings

if TYPE_CHECKING:
    from seedx.inference.pipeline import Pipeline


@dataclasses.dataclass(frozen=True)
class Source:
    """Which model answers, and where it runs."""

    model: str = "tiny"
    """"tiny" (bundled), a folder, or a hub id."""
    device: str = "cpu"
    """Where the model runs: cpu, cuda, mps."""
    max_pixels: int | None = None
    """Images with more pixels are refused before they are decoded; by default about 13,000 x 13,000."""

    def load(self, progress: bool = True) -> Pipeline:
        """
        Args:
            progress: show a bar in a terminal when drawing takes longer than a second.

        Raises:
            SeedxError: there is no such model or device.
        """
        from seedx.inference import pipeline

        progress = progress and sys.stderr.isatty()
        return pipeline.load(self.model, device=self.device, max_pixels=self.max_pixels, progress=progress)


TINY = Source()
SETTINGS = Settings()
DRAW_SETTINGS = DrawSettings()
