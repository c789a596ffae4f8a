"""The demo: what a model can do, done on real files. `demo_page.py` shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import PIL.Image

from seedx.marks import mark_boxes
from seedx.messages import Box
from seedx.pipeline import Pipeline
from seedx.settings import Drawing

Kind = Literal["read", "point", "draw", "edit", "redraw", "talk"]

LONGEST_ANSWER = 96  # tokens
LINE = 110  # characters


@dataclass(frozen=True)
class Step:
    """One thing to do: what is said, turn by turn, and the file that it is about."""

    kind: Kind
    said: tuple[str, ...]
    file: str | None = None
    quick: bool = False  # whether the quick form has it too


@dataclass(frozen=True)
class Turn:
    """What was said, shown and given back. A picture comes with its caption."""

    said: str
    shown: tuple[tuple[PIL.Image.Image, str], ...]
    text: str
    made: tuple[tuple[PIL.Image.Image, str], ...]
    seconds: float


@dataclass(frozen=True)
class Done:
    step: Step
    turns: tuple[Turn, ...]

    @property
    def seconds(self) -> float:
        return sum(turn.seconds for turn in self.turns)

    @property
    def line(self) -> str:
        """What a terminal says about it."""
        last = self.turns[-1]
        result = last.text or ", ".join(caption for _, caption in last.made) or "nothing"
        about = f"{self.step.file}: " if self.step.file else ""
        line = f"{self.step.kind:<7}{self.seconds:5.1f} s  {about}{last.said} -> {result}"
        return line if len(line) <= LINE else line[: LINE - 3] + "..."


STEPS = (
    Step("read", ("what does the dog wear?",), "beach.png", quick=True),
    Step("read", ("what is in the picture?",), "photo.jpg"),
    Step("read", ("where is the moon?",), "night.png"),
    Step("read", ("describe the picture",), "meadow.png"),
    Step("read", ("how many stars are there?",), "panorama.png", quick=True),
    Step("point", ("the tree",), "meadow.png", quick=True),
    Step("point", ("the cat",), "meadow.png"),
    Step("point", ("the dog",), "beach.png"),
    Step("draw", ("draw a cat on the left and a red car on the right, on the beach",), quick=True),
    Step("draw", ("a birthday for a dog",)),
    Step("draw", ("draw three stars at night",)),
    Step("draw", ("draw a fox wearing a hat in the snow",)),
    Step("edit", ("put sunglasses on the cat",), "meadow.png", quick=True),
    Step("edit", ("replace the tree with a house",), "meadow.png"),
    Step("edit", ("change the background to the beach",), "meadow.png"),
    Step("redraw", ("",), "meadow.png", quick=True),
    Step("talk", ("how many things are there?", "what is next to the cat?", "find the tree"), "meadow.png"),
)


def steps(quick: bool = False) -> tuple[Step, ...]:
    return tuple(step for step in STEPS if step.quick or not quick)


def perform(model: Pipeline, step: Step, examples: Path) -> Done:
    """Do one thing.

    Raises:
        ValueError: its file is not in `examples`.
    """
    file = examples / step.file if step.file else None
    if file and not file.is_file():
        raise ValueError(f"{file} is missing: give the folder `examples` of the repository by --examples")
    return Done(step, ACTIONS[step.kind](model, step, file))


def _read(model: Pipeline, step: Step, file: Path | None) -> tuple[Turn, ...]:
    session, turns = model.session(), []
    for number, said in enumerate(step.said):
        given = [file] if file and not number else []
        start = time.perf_counter()
        drawing: Drawing = "force" if step.kind in ("draw", "edit") else "auto"
        reply = session.send(said, given, drawing=drawing, max_new_tokens=LONGEST_ANSWER)
        seconds = time.perf_counter() - start
        made = [(picture, _size(picture)) for picture in reply.images]
        if reply.boxes and file:
            made.append(_marked(model.open(file), reply.boxes))
        turns.append(Turn(said, _shown(model, given), reply.text, tuple(made), seconds))
    return tuple(turns)


def _point(model: Pipeline, step: Step, file: Path | None) -> tuple[Turn, ...]:
    assert file is not None
    picture, said = model.open(file), step.said[0]
    start = time.perf_counter()
    boxes = model.ground(picture, said, max_new_tokens=LONGEST_ANSWER)
    seconds = time.perf_counter() - start
    text = "" if boxes else "nothing found"
    return (Turn(f"find {said}", (), text, (_marked(picture, boxes),) if boxes else (), seconds),)


def _redraw(model: Pipeline, step: Step, file: Path | None) -> tuple[Turn, ...]:
    assert file is not None
    start = time.perf_counter()
    plain, kept = model.reconstruct(file), model.reconstruct(file, condition=file)
    seconds = time.perf_counter() - start
    made = ((plain, "from its features"), (kept, "and with its detail"))
    return (Turn("draw again what you see", _shown(model, [file]), "", made, seconds),)


ACTIONS: dict[Kind, Callable[[Pipeline, Step, Path | None], tuple[Turn, ...]]] = {
    "read": _read,
    "point": _point,
    "draw": _read,
    "edit": _read,
    "redraw": _redraw,
    "talk": _read,
}


def _marked(picture: PIL.Image.Image, boxes: Sequence[Box]) -> tuple[PIL.Image.Image, str]:
    return mark_boxes(picture, boxes), f"{len(boxes)} box{'es' if len(boxes) > 1 else ''}"


def _shown(model: Pipeline, files: Sequence[Path]) -> tuple[tuple[PIL.Image.Image, str], ...]:
    pictures = [model.open(file) for file in files]
    return tuple((picture, f"{file.name}, {_size(picture)}") for file, picture in zip(files, pictures, strict=True))


def _size(picture: PIL.Image.Image) -> str:
    return f"{picture.width} x {picture.height}"
