"""`seedx edit`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from seedx.inference.settings import Settings
from seedx.verbs.options import SETTINGS, TINY, Source
from seedx.verbs.output import check_target, write_image


def edit(
    image: Path,
    instruction: str,
    /,
    *,
    out: Path = Path("edited.png"),
    source: Source = TINY,
    settings: Settings = SETTINGS,
) -> None:
    """Edit an image by an instruction.

    Args:
        image: the image to edit.
        instruction: what to change.
        out: file to write.
    """
    check_target(out)
    model = source.load()
    write_image(out, lambda: model.edit(image, instruction, **dataclasses.asdict(settings)))
