"""`seedx reconstruct`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from seedx.inference.settings import DrawSettings
from seedx.verbs.options import DRAW_SETTINGS, TINY, Source
from seedx.verbs.output import check_target, write_image


def reconstruct(
    image: Path,
    /,
    *,
    condition: Path | None = None,
    out: Path = Path("reconstructed.png"),
    source: Source = TINY,
    settings: DrawSettings = DRAW_SETTINGS,
) -> None:
    """Reconstruct an image from its visual features.

    Args:
        image: the image to reconstruct.
        condition: a condition image, whose details are kept; usually the same image.
        out: file to write.
    """
    check_target(out)
    model = source.load()
    write_image(out, lambda: model.reconstruct(image, condition, **dataclasses.asdict(settings)))
