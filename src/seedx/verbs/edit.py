"""`seedx edit`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from seedx.inference.settings import ImageDrawing, Settings
from seedx.verbs.options import SETTINGS, TINY, Source
from seedx.verbs.output import check_target, write_image


def edit(
    image: Path,
    instruction: str,
    /,
    *,
    out: Path = Path("edited.png"),
    drawing: ImageDrawing | None = None,
    condition: bool = False,
    source: Source = TINY,
    settings: Settings = SETTINGS,
) -> None:
    """Edit an image by an instruction.

    Args:
        image: the image to edit.
        instruction: what to change.
        out: file to write.
        drawing: force: the model may say something first; now: the image comes first. By default as the model was
            trained.
        condition: edit, keeping the detail of the image, also by a model that was not trained to edit.
    """
    check_target(out)
    model = source.load()
    options = dataclasses.asdict(settings)
    write_image(out, lambda: model.edit(image, instruction, drawing=drawing, condition=condition or None, **options))
