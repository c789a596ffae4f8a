"""How verbs show results and write them to files."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedx.atomic import replacing_file
from seedx.errors import SeedxError

if TYPE_CHECKING:
    import PIL.Image

    from seedx.messages import Box


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    import json

    print(json.dumps(value, indent=1))


@contextlib.contextmanager
def file_errors() -> Iterator[None]:
    """Around reading and writing files: a missing file, missing permission or a full disk is the user's to fix, no bug.

    Raises:
        SeedxError: in place of an OSError.
    """
    try:
        yield
    except BrokenPipeError:  # of standard output, see `cli.main`
        raise
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        raise SeedxError(reason or type(error).__name__) from error


def check_target(file: Path, *others: str) -> None:
    """Check before any work that an image can be written to `file`.

    Args:
        others: endings of file names that are possible besides those of image formats.

    Raises:
        SeedxError: there is no such folder, or the file's ending is not known.
    """
    import PIL.Image

    if not file.parent.is_dir():
        raise SeedxError(f"there is no folder {str(file.parent)!r} to write {file.name!r} to")
    if file.is_dir():
        raise SeedxError(f"{str(file)!r} is a folder: give the name of a file")
    formats = PIL.Image.registered_extensions()
    ending = file.suffix.lower()
    if ending not in others and formats.get(ending) not in PIL.Image.SAVE:
        expected = "".join(f"{other} or " for other in others)
        raise SeedxError(f"{str(file)!r} must end in {expected}the name of an image format, such as .png or .jpg")


def write_image(file: Path, draw: Callable[[], PIL.Image.Image]) -> None:
    """Make an image, write it to `file` and print its size and the time."""
    start = time.perf_counter()
    image = draw()
    save_image(image, file)
    print(f"{file}: {image.width} x {image.height} in {time.perf_counter() - start:.1f} s")


def save_image(image: PIL.Image.Image, file: Path) -> None:
    """Write an image by the ending of the file's name; the file is written aside, so a full disk keeps the old one.

    Raises:
        SeedxError: it can't be written.
    """
    with file_errors(), replacing_file(file) as aside:
        image.save(aside)


def write_text(file: Path, text: str) -> None:
    """As `save_image`, for a text."""
    with file_errors(), replacing_file(file) as aside:
        aside.write_text(text, encoding="utf-8")


def keep_images(images: Iterable[PIL.Image.Image], folder: Path) -> list[Path]:
    """Write images as seedx-1.png, seedx-2.png and so on; existing files stay. Returns the new files."""
    files = []
    for image in images:
        with file_errors():
            folder.mkdir(parents=True, exist_ok=True)
            names = (folder / f"seedx-{number}.png" for number in itertools.count(1))
            files.append(next(name for name in names if not name.exists()))
        save_image(image, files[-1])
    return files


def box_lines(boxes: Iterable[Box]) -> list[str]:
    """ "cat  0.10 0.20 0.40 0.60": label and corners, as fractions of the image."""
    return [f"{box.label or 'box'}  " + " ".join(f"{value:.2f}" for value in box.box) for box in boxes]


def boxes_as_json(boxes: Iterable[Box]) -> list[dict[str, Any]]:
    return [{"label": box.label, "box": [round(value, 4) for value in box.box]} for box in boxes]
