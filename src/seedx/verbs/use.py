"""Verbs that use a model: chat, draw, edit, ground, reconstruct, story, slide, demo."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedx.errors import SeedxError
from seedx.inference.settings import Drawing, DrawSettings, Settings
from seedx.verbs.shared import TINY, Source, print_json

if TYPE_CHECKING:
    import PIL.Image

    from seedx.messages import Box

ANSWER, DRAWING = Settings(), DrawSettings()


def chat(
    prompt: str = "",
    /,
    *,
    images: tuple[Path, ...] = (),
    drawing: Drawing = "auto",
    out: Path = Path("."),
    interactive: bool = False,
    json: bool = False,
    source: Source = TINY,
    settings: Settings = ANSWER,
) -> None:
    """Ask something, with pictures or none; without a prompt, talk.

    Args:
        prompt: what to ask or wish for.
        images: pictures that the prompt is about.
        drawing: auto: the model decides whether to draw; force: at least one picture; forbid: none.
        out: folder of the pictures that it draws.
        interactive: go on talking after the prompt.
        json: print one object: text, boxes, images, seconds.
    """
    from seedx.verbs import repl

    if json and (interactive or not prompt):
        raise SeedxError("--json answers one prompt: give one, and leave out --interactive")
    if not prompt or interactive:
        repl.talk(source.load(), prompt, images, drawing, out, settings)
        return
    if not prompt.strip():
        raise SeedxError("the prompt is empty: say what you want to know or to see")
    model = source.load()
    start = time.perf_counter()
    reply = model.chat(prompt, images, drawing=drawing, **dataclasses.asdict(settings))
    seconds = time.perf_counter() - start
    files = repl.keep(reply.images, out)
    if json:
        print_json(
            {
                "text": reply.text,
                "boxes": _plain(reply.boxes),
                "images": [str(f) for f in files],
                "seconds": round(seconds, 3),
            }
        )
    else:
        print("\n".join([reply.text, *repl.box_lines(reply.boxes), *map(str, files)]).strip())


def draw(
    prompt: str,
    /,
    *,
    out: Path = Path("drawing.png"),
    source: Source = TINY,
    settings: Settings = ANSWER,
) -> None:
    """Draw a picture of what a prompt says.

    Args:
        prompt: what the picture shows.
        out: file of the picture.
    """
    _check_target(out)
    model = source.load()
    _save(out, lambda: model.draw(prompt, **dataclasses.asdict(settings)))


def edit(
    image: Path,
    instruction: str,
    /,
    *,
    out: Path = Path("edited.png"),
    source: Source = TINY,
    settings: Settings = ANSWER,
) -> None:
    """Change one thing in a picture.

    Args:
        image: the picture.
        instruction: what to change.
        out: file of the changed picture.
    """
    _check_target(out)
    model = source.load()
    _save(out, lambda: model.edit(image, instruction, **dataclasses.asdict(settings)))


def ground(
    image: Path,
    phrase: str,
    /,
    *,
    out: Path | None = None,
    json: bool = False,
    source: Source = TINY,
    settings: Settings = ANSWER,
) -> None:
    """Find things in a picture: their boxes.

    Args:
        image: the picture.
        phrase: what to find: "the dog on the right", "all stars".
        out: file of the picture with the boxes on it.
        json: print a list of labels and corners, as fractions of the picture.
    """
    from seedx.verbs import repl

    if out:
        _check_target(out)
    model = source.load()
    boxes = model.ground(image, phrase, **dataclasses.asdict(settings))
    if json:
        print_json(_plain(boxes))
    else:
        print("\n".join(repl.box_lines(boxes)) or "nothing found")
    if out:
        from seedx.draw_boxes import mark_boxes

        mark_boxes(model.open(image), boxes).save(out)


def reconstruct(
    image: Path,
    /,
    *,
    condition: Path | None = None,
    out: Path = Path("reconstructed.png"),
    source: Source = TINY,
    settings: DrawSettings = DRAWING,
) -> None:
    """Draw a picture again from what the model sees in it.

    Args:
        image: the picture.
        condition: a picture whose detail is kept, most often the same one.
        out: file of the drawn picture.
    """
    _check_target(out)
    model = source.load()
    _save(out, lambda: model.reconstruct(image, condition, **dataclasses.asdict(settings)))


def story(
    prompt: str,
    /,
    *,
    frames: int = 5,
    image: Path | None = None,
    out: Path = Path("story"),
    source: Source = TINY,
    settings: Settings = ANSWER,
) -> None:
    """Tell a story in sentences and pictures.

    Args:
        prompt: what the story is about; with a first picture, what that one shows.
        frames: how many pictures.
        image: the first picture.
        out: folder of the pictures and of story.md, which shows them.
    """
    if out.is_file():
        raise SeedxError(f"{str(out)!r} is a file: give a folder")
    model = source.load()
    told = model.story(prompt, frames, image, **dataclasses.asdict(settings))
    out.mkdir(parents=True, exist_ok=True)
    lines = [f"# {prompt}"]
    for number, (text, picture) in enumerate(told, 1):
        picture.save(out / f"{number}.png")
        lines.append(f"{text}\n\n![]({number}.png)")
        print(f"{out / f'{number}.png'}  {text}")
    (out / "story.md").write_text("\n\n".join(lines) + "\n", encoding="utf-8")


def slide(
    prompt: str,
    /,
    *,
    out: Path = Path("slide.pptx"),
    as_written: bool = False,
    source: Source = TINY,
    settings: Settings = ANSWER,
) -> None:
    """Design a slide with a picture on it.

    Args:
        prompt: what the slide is about.
        out: file of the slide: .pptx, .json, or a picture such as .png.
        as_written: leave text where and as large as the model set it, though it covers something or does not fit.
    """
    _check_target(out, ".pptx", ".json")
    model = source.load()
    start = time.perf_counter()
    page = model.slide(prompt, **dataclasses.asdict(settings))
    page = page if as_written else page.fitted()
    match out.suffix.lower():
        case ".pptx":
            page.to_pptx(out)
        case ".json":
            out.write_text(page.to_json(), encoding="utf-8")
        case _:
            page.to_image().save(out)
    print(f"{out}: {page.title or 'no title'}, in {time.perf_counter() - start:.1f} s")
    notes = [f"repaired: {what}" for what in page.repairs] + [f"problem: {what}" for what in page.problems()]
    print("\n".join(notes), file=sys.stderr, end="\n" if notes else "")


def _check_target(file: Path, *also: str) -> None:
    """
    Raises:
        SeedxError: a picture, or a file with one of the other endings, can't be written there.
    """
    import PIL.Image

    if not file.parent.is_dir():
        raise SeedxError(f"there is no folder {str(file.parent)!r} to write {file.name!r} to")
    if file.suffix.lower() not in (*also, *PIL.Image.registered_extensions()):
        others = "".join(f"{ending} or " for ending in also)
        raise SeedxError(f"{str(file)!r} must end in {others}the name of a picture format, such as .png or .jpg")


def _save(file: Path, paint: Callable[[], PIL.Image.Image]) -> None:
    start = time.perf_counter()
    picture = paint()
    picture.save(file)
    print(f"{file}: {picture.width} x {picture.height} in {time.perf_counter() - start:.1f} s")


def _plain(boxes: list[Box]) -> list[dict[str, Any]]:
    return [{"label": box.label, "box": [round(value, 4) for value in box.box]} for box in boxes]
