"""`seedx slide`."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from seedx.errors import SeedxError
from seedx.inference.settings import Settings
from seedx.verbs.options import SETTINGS, TINY, Source
from seedx.verbs.output import check_target, file_errors, save_image, write_text

if TYPE_CHECKING:
    from seedx.slides import Slide


def slide(
    prompt: str,
    /,
    *,
    out: Path = Path("slide.pptx"),
    as_written: bool = False,
    source: Source = TINY,
    settings: Settings = SETTINGS,
) -> None:
    """Design a slide with a title, text and an image.

    Args:
        prompt: the topic of the slide.
        out: file to write: .pptx, .json, or an image such as .png.
        as_written: keep the position and size of text as generated, even where it overlaps or does not fit.
    """
    check_target(out, ".pptx", ".json")
    if out.suffix.lower() == ".pptx" and importlib.util.find_spec("pptx") is None:
        raise SeedxError('writing a .pptx needs python-pptx: pip install "seedx[slides]", or write a .png or .json')
    model = source.load()
    start = time.perf_counter()
    made = model.slide(prompt, **dataclasses.asdict(settings))
    made = made if as_written else made.fitted()
    _write(made, out)
    print(f"{out}: {made.title or 'no title'}, in {time.perf_counter() - start:.1f} s")
    notes = [f"repaired: {repair}" for repair in made.repairs] + [f"problem: {problem}" for problem in made.problems()]
    print("\n".join(notes), file=sys.stderr, end="\n" if notes else "")


def _write(slide: Slide, file: Path) -> None:
    match file.suffix.lower():
        case ".pptx":
            with file_errors():
                slide.to_pptx(file)
        case ".json":
            write_text(file, slide.to_json())
        case _:
            save_image(slide.to_image(), file)
