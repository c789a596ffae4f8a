"""`seedx story`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from seedx.errors import SeedxError
from seedx.inference.settings import ImageDrawing, Settings
from seedx.verbs.options import SETTINGS, TINY, Source
from seedx.verbs.output import file_errors, save_image, write_text


def story(
    prompt: str,
    /,
    *,
    frames: int = 5,
    image: Path | None = None,
    drawing: ImageDrawing = "force",
    window: int | None = None,
    sink: bool = False,
    out: Path = Path("story"),
    source: Source = TINY,
    settings: Settings = SETTINGS,
) -> None:
    """Tell an illustrated story.

    Args:
        prompt: what the story is about; with --image, a description of that image.
        frames: number of images.
        image: the first image of the story.
        drawing: force: a sentence may come first; now: an image comes first.
        window: for SEED-Story: pictures that its prompt holds, the last ones; by default 8.
        sink: for SEED-Story: keep the tokens around the pictures that left the window, for long stories.
        out: folder to write the images and story.md to.
    """
    if out.is_file():
        raise SeedxError(f"{str(out)!r} is a file: give the name of a folder")
    model = source.load()
    told = model.story(prompt, frames, image, drawing=drawing, window=window, sink=sink, **dataclasses.asdict(settings))
    lines = [f"# {prompt}"]
    with file_errors():
        out.mkdir(parents=True, exist_ok=True)
        for number, (text, picture) in enumerate(told, 1):
            save_image(picture, out / f"{number}.png")
            lines.append(f"{text}\n\n![]({number}.png)")
        write_text(out / "story.md", "\n\n".join(lines) + "\n")
    for number, (text, _) in enumerate(told, 1):
        print(f"{out / f'{number}.png'}  {text}")
