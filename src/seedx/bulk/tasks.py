"""What `seedx batch` can ask, and the columns of an input that it is read from. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from seedx.errors import SeedxError

TaskName = Literal["caption", "chat", "ground", "draw", "edit"]

PICTURE_ENDINGS = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm", "avif", "heic", "heif")


@dataclass(frozen=True)
class Task:
    """
    Attributes:
        picture: "needed", "allowed" or "ignored".
        text: columns that hold the text, in the order in which they are looked for; none: no text is asked.
        draws: the answer is a picture.
    """

    picture: Literal["needed", "allowed", "ignored"]
    text: tuple[str, ...] = ()
    draws: bool = False


TASKS: dict[TaskName, Task] = {
    "caption": Task("needed"),
    "chat": Task("allowed", ("prompt", "question")),
    "ground": Task("needed", ("phrase", "prompt")),
    "draw": Task("ignored", ("prompt", "caption", "txt"), draws=True),
    "edit": Task("needed", ("instruction", "prompt"), draws=True),
}


@dataclass(frozen=True)
class Columns:
    """Which columns of JSONL, JSON, Parquet and tar are read. By default the usual names are looked for."""

    column: str | None = None
    """Column of the text; by default prompt, question, phrase, instruction or caption, as the task has it."""
    image_column: str | None = None
    """Column of the picture, or of a list of pictures; by default image, picture or file_name, in a tar the picture."""
    id_column: str = "id"
    """Column of the row's id; without one, an input's place in the files is its id."""

    def text(self, task: Task) -> tuple[str, ...]:
        return task.text if self.column is None else (self.column,)

    @property
    def image(self) -> tuple[str, ...]:
        if self.image_column is not None:
            return (self.image_column,)
        return ("image", "picture", "file_name", *PICTURE_ENDINGS)


def task_of(name: str) -> Task:
    """
    Raises:
        SeedxError: there is no such task.
    """
    found = next((task for known, task in TASKS.items() if known == name), None)
    if found is None:
        raise SeedxError(f"the task is {', '.join(TASKS)}, not {name!r}")
    return found
