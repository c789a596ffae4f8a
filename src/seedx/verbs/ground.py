"""`seedx ground`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from seedx.inference.settings import Settings
from seedx.verbs.options import SETTINGS, TINY, Source
from seedx.verbs.output import box_lines, boxes_as_json, check_target, print_json, save_image


def ground(
    image: Path,
    phrase: str,
    /,
    *,
    out: Path | None = None,
    json: bool = False,
    source: Source = TINY,
    settings: Settings = SETTINGS,
) -> None:
    """Locate objects in an image by bounding boxes.

    Args:
        image: the image to search.
        phrase: the objects to locate, such as "the dog on the right" or "all stars".
        out: file to write the image to, with the boxes drawn on it.
        json: print a list of labels and boxes; corners are fractions of the image.
    """
    if out:
        check_target(out)
    model = source.load()
    boxes = model.ground(image, phrase, **dataclasses.asdict(settings))
    if json:
        print_json(boxes_as_json(boxes))
    else:
        print("\n".join(box_lines(boxes)) or "nothing found")
    if out:
        from seedx.draw_boxes import mark_boxes

        save_image(mark_boxes(model.open(image), boxes), out)
