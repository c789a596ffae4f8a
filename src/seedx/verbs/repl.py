"""Talking in a terminal: `seedx chat` without a prompt."""

from __future__ import annotations

import dataclasses
import itertools
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import PIL.Image

from seedx.errors import SeedxError
from seedx.inference.pipeline import Pipeline
from seedx.inference.reply import Reply
from seedx.inference.session import Session
from seedx.inference.settings import Drawing, Settings
from seedx.messages import Box, Image, Text
from seedx.tokens import strip_boxes

HELP = """\
/image FILE...   pictures for what you say next
/new             begin a new conversation
/help            this
/quit            leave (or end of input)
Anything else is said to the model."""


def talk(model: Pipeline, prompt: str, images: Sequence[Path], drawing: Drawing, out: Path, settings: Settings) -> None:
    """Read lines until the end of input. A mistake is told, and the conversation goes on."""
    asked = sys.stdin.isatty()
    if asked:
        print("Talk to the model; /help tells what else there is.", file=sys.stderr)
    session, given = model.session(), list(images)
    for line in itertools.chain([prompt] if prompt else [], _lines("> " if asked else "")):
        command, _, rest = line.partition(" ")
        try:
            if command == "/quit":
                return
            if command == "/help":
                print(HELP)
            elif command == "/new":
                session, given = model.session(), []
            elif command == "/image":
                given += _pictures(model, rest)
            elif command.startswith("/"):
                raise SeedxError(f"there is no command {command!r}; /help lists them")
            elif line.strip():
                say(session, line, given, drawing, out, settings)
                given = []
        except ValueError as error:
            print(f"! {error}")


def say(session: Session, line: str, images: Sequence[Path], drawing: Drawing, out: Path, settings: Settings) -> None:
    """One turn: print what comes as it comes, then the boxes, and the files of the pictures."""
    written = shown = space = ""
    for event in session.stream(line, images, drawing=drawing, **dataclasses.asdict(settings)):
        if isinstance(event, Text):
            written, space = written + space + event.text, ""
            text = strip_boxes(written)
            if text.startswith(shown):
                print(text[len(shown) :], end="", flush=True)
                shown = text
        elif isinstance(event, Image):
            space = " " if written else ""  # before the sentence after a picture
        elif isinstance(event, Reply):
            print("\n".join(["", *box_lines(event.boxes), *map(str, keep(event.images, out))]))


def keep(pictures: Iterable[PIL.Image.Image], folder: Path) -> list[Path]:
    """Save pictures as seedx-1.png, seedx-2.png and so on; older ones stay."""
    files = []
    for picture in pictures:
        folder.mkdir(parents=True, exist_ok=True)
        names = (folder / f"seedx-{number}.png" for number in itertools.count(1))
        files.append(next(name for name in names if not name.exists()))
        picture.save(files[-1])
    return files


def box_lines(boxes: Iterable[Box]) -> list[str]:
    """ "cat  0.10 0.20 0.40 0.60": label and corners, as fractions of the picture."""
    return [f"{box.label or 'box'}  " + " ".join(f"{value:.2f}" for value in box.box) for box in boxes]


def _pictures(model: Pipeline, text: str) -> list[Path]:
    """The files named, each of them a picture."""
    files = [Path(name) for name in shlex.split(text)]
    if not files:
        raise SeedxError("/image takes the names of one or more files")
    for file in files:
        model.open(file)
    return files


def _lines(prompt: str) -> Iterator[str]:
    while True:
        try:
            yield input(prompt)
        except EOFError:
            return
