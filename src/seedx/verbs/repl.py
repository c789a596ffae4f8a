"""The chat REPL: `seedx chat` without a prompt, or with --interactive."""

from __future__ import annotations

import dataclasses
import itertools
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from seedx.errors import SeedxError
from seedx.inference.pipeline import Pipeline
from seedx.inference.reply import Reply
from seedx.inference.session import Session
from seedx.inference.settings import Drawing, Settings
from seedx.messages import Image, Text
from seedx.tokens import strip_boxes
from seedx.verbs.output import box_lines, keep_images

HELP = """\
/image FILE...   add images to the next message
/new             start a new conversation
/help            show this help
/quit            leave (or end of input)
Any other line is a message to the model."""


def run(
    model: Pipeline,
    prompt: str,
    images: Sequence[Path],
    drawing: Drawing,
    out: Path,
    settings: Settings,
    condition: bool | None = None,
) -> None:
    """Answer `prompt`, if there is one, then every line of standard input. An error is printed; the chat continues."""
    terminal = sys.stdin.isatty()
    if terminal:
        print("Type a message, or /help for commands.", file=sys.stderr)
    session, waiting = model.session(), list(images)
    for line in itertools.chain([prompt] if prompt else [], _lines("> " if terminal else "")):
        command, _, rest = line.partition(" ")
        try:
            if command == "/quit":
                return
            if command == "/help":
                print(HELP)
            elif command == "/new":
                session, waiting = model.session(), []
            elif command == "/image":
                waiting += _image_files(model, rest)
            elif command.startswith("/"):
                raise SeedxError(f"there is no command {command!r}; /help lists them")
            elif line.strip():
                send(session, line, waiting, drawing, out, settings, condition)
                waiting = []
        except SeedxError as error:
            print(f"! {error}")


def send(
    session: Session,
    line: str,
    images: Sequence[Path],
    drawing: Drawing,
    out: Path,
    settings: Settings,
    condition: bool | None = None,
) -> None:
    """One turn: print text as it is generated, then the boxes and the files of drawn images."""
    written = shown = space = ""
    for event in session.stream(line, images, drawing=drawing, condition=condition, **dataclasses.asdict(settings)):
        if isinstance(event, Text):
            written, space = written + space + event.text, ""
            text = strip_boxes(written)
            if text.startswith(shown):
                print(text[len(shown) :], end="", flush=True)
                shown = text
        elif isinstance(event, Image):
            space = " " if written else ""  # before the sentence after an image
        elif isinstance(event, Reply):
            print("\n".join(["", *box_lines(event.boxes), *map(str, keep_images(event.images, out))]))


def _image_files(model: Pipeline, text: str) -> list[Path]:
    """The files named in a line.

    Raises:
        SeedxError: the line names no file, is badly quoted, or a file is not an image.
    """
    try:
        files = [Path(name) for name in shlex.split(text)]
    except ValueError as error:
        raise SeedxError(f"/image can't read {text!r}: {error}") from error
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
