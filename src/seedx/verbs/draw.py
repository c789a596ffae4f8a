"""`seedx draw`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from seedx.inference.settings import ImageDrawing, Settings
from seedx.verbs.options import SETTINGS, TINY, Source
from seedx.verbs.output import check_target, write_image


def draw(
    prompt: str,
    /,
    *,
    out: Path = Path("drawing.png"),
    drawing: ImageDrawing | None = None,
    source: Source = TINY,
    settings: Settings = SETTINGS,
) -> None:
    """Draw an image from a description.

    Args:
        prompt: the description of the image.
        out: file to write.
        drawing: force: the model may say something first; now: the image comes first. By default as the model was
            trained.
    """
    check_target(out)
    model = source.load()
    write_image(out, lambda: model.draw(prompt, drawing=drawing, **dataclasses.asdict(settings)))
