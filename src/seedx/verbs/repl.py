"""The chat REPL: `seedx chat` without a prompt, or with --interactive."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from seedx.errors import ContextFullError, SeedxError
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
Ctrl-C           stop an answer: the conversation is then as before the message
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
    _accept_any_bytes()
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
                sent, waiting = waiting, []  # also where the message is refused
                send(session, _message(line), sent, drawing, out, settings, condition)
        except ContextFullError as error:
            print(f"! {error}" + ("; or start a new conversation with /new" if session.messages else ""))
        except SeedxError as error:
            print(f"! {error}")
        except KeyboardInterrupt:
            print("\n! stopped")


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
    stream = session.stream(line, images, drawing=drawing, condition=condition, **dataclasses.asdict(settings))
    with contextlib.closing(stream):
        for event in stream:
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
    """The files named in a line: one name as it is, or several, in quotes where they have spaces.

    Raises:
        SeedxError: the line names no file, or a file is not an image.
    """
    readings = [[Path(text.strip())], *_words(text)]
    if not text.strip():
        raise SeedxError("/image takes the names of one or more files")
    files = next((names for names in readings if all(map(os.path.exists, names))), readings[1])
    for file in files:
        model.open(file)
    return files


def _words(text: str) -> list[list[Path]]:
    """The names in a line as a shell reads it, if its quotes are closed, and with every backslash and quote kept."""
    readings = [[Path(name) for name in text.split()]]
    with contextlib.suppress(ValueError):  # "it's.png"
        readings.insert(0, [Path(name) for name in shlex.split(text)])
    return readings


def _accept_any_bytes() -> None:
    """Bytes of the terminal that are not UTF-8 do not end the chat. File names keep them; else see `_message`."""
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def _message(line: str) -> str:
    """The line with a replacement character for each byte that is not UTF-8."""
    return line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _lines(prompt: str) -> Iterator[str]:
    while True:
        try:
            yield input(prompt)
        except EOFError:
            return
        except KeyboardInterrupt:
            if not prompt:
                raise
            print("\n(/quit or Ctrl-D to leave)", file=sys.stderr)
