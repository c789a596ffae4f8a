"""`seedx caption`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from seedx.inference.settings import Settings
from seedx.verbs.options import SETTINGS, TINY, Source
from seedx.verbs.output import print_json


def caption(
    image: Path,
    /,
    *,
    json: bool = False,
    source: Source = TINY,
    settings: Settings = SETTINGS,
) -> None:
    """Describe an image in words, asked as the model was trained.

    Args:
        image: the image to describe.
        json: print one object with the text.
    """
    text = source.load().caption(image, **dataclasses.asdict(settings))
    if json:
        print_json({"text": text})
    else:
        print(text)
