"""What goes into a worker and what comes out, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seedx.messages import Box


@dataclass
class Query:
    """One input as the worker reads it.

    Attributes:
        image: a picture as `images.open_image` takes it, {"bytes", "path"}, a URL that fsspec opens, a list of these,
            or None.
        seed: None: that of the settings.
    """

    image: Any = None
    text: str | None = None
    seed: int | None = None
    error: str = ""


@dataclass
class Answer:
    """
    Attributes:
        picture: PNG; of several pictures the first one.
        seconds: the time of its batch, divided by the inputs of it.
    """

    answer: str | None = None
    boxes: tuple[Box, ...] = ()
    picture: bytes | None = None
    error: str | None = None
    seconds: float = 0.0


def as_columns(answers: Sequence[Answer]) -> dict[str, list[Any]]:
    """Answers as columns of plain values, which any table takes."""
    return {
        "answer": [each.answer for each in answers],
        "boxes": [[plain_box(box) for box in each.boxes] for each in answers],
        "picture": [each.picture for each in answers],
        "error": [each.error for each in answers],
        "seconds": [each.seconds for each in answers],
    }


def plain_box(box: Box) -> dict[str, Any]:
    return {"label": box.label, "box": [round(float(side), 4) for side in box.box]}
