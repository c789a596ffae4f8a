"""The demo: every ability of a model, on real files. `demo_page.py` writes its page."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import PIL.Image

from seedx.draw_boxes import mark_boxes
from seedx.errors import SeedxError
from seedx.inference.pipeline import Pipeline
from seedx.inference.settings import Drawing
from seedx.messages import Box

Kind = Literal["read", "point", "draw", "edit", "combine", "redraw", "talk", "story", "slide"]

LONGEST_ANSWER = 96  # tokens
FRAMES = 5  # of a story
SLIDE_WIDTH = 480  # pixels
LINE = 110  # characters


@dataclass(frozen=True)
class Step:
    """One step of the demo: the prompts, turn by turn, and the files of the first turn."""

    kind: Kind
    prompts: tuple[str, ...]
    files: tuple[str, ...] = ()
    quick: bool = False  # whether the quick demo has it, too


@dataclass(frozen=True)
class Turn:
    """A prompt with its pictures, and the reply. Pictures have captions."""

    prompt: str
    inputs: tuple[tuple[PIL.Image.Image, str], ...]
    text: str
    outputs: tuple[tuple[PIL.Image.Image, str], ...]
    seconds: float


@dataclass(frozen=True)
class Result:
    step: Step
    turns: tuple[Turn, ...]

    @property
    def seconds(self) -> float:
        return sum(turn.seconds for turn in self.turns)

    @property
    def line(self) -> str:
        """One line for the terminal."""
        last = self.turns[-1]
        result = last.text or ", ".join(caption for _, caption in last.outputs) or "nothing"
        about = f"{', '.join(self.step.files)}: " if self.step.files else ""
        line = f"{self.step.kind:<7}{self.seconds:5.1f} s  {about}{last.prompt} -> {result}"
        return line if len(line) <= LINE else line[: LINE - 3] + "..."


STEPS = (
    Step("read", ("what does the dog wear?",), ("beach.png",), quick=True),
    Step("read", ("what is in the picture?",), ("photo.jpg",)),
    Step("read", ("where is the moon?",), ("night.png",)),
    Step("read", ("describe the picture",), ("meadow.png",)),
    Step("read", ("how many stars are there?",), ("panorama.png",), quick=True),
    Step("read", ("what is written at the top?",), ("street.png",)),
    Step("read", ("what is right below the whale?",), ("tower.png",)),
    Step("read", ("which picture has more ducks?",), ("meadow.png", "pond.png")),
    Step("point", ("the tree",), ("meadow.png",), quick=True),
    Step("point", ("the cat",), ("meadow.png",)),
    Step("point", ("the dog",), ("beach.png",)),
    Step("draw", ("draw a cat on the left and a red car on the right, on the beach",), quick=True),
    Step("draw", ("a birthday for a dog",)),
    Step("draw", ("draw three stars at night",)),
    Step("draw", ("draw a fox wearing a hat in the snow",)),
    Step("edit", ("put sunglasses on the cat",), ("meadow.png",), quick=True),
    Step("edit", ("replace the tree with a house",), ("meadow.png",)),
    Step("edit", ("change the background to the beach",), ("meadow.png",)),
    Step("combine", ("put this hat on the cat",), ("hat.png", "meadow.png"), quick=True),
    Step("combine", ("the animals of both pictures together",), ("meadow.png", "pond.png")),
    Step("redraw", ("",), ("meadow.png",), quick=True),
    Step("talk", ("how many things are there?", "what is right of the cat?", "find the tree"), ("meadow.png",)),
    Step(
        "talk",
        ("draw a cat and a tree on the beach", "now make the background green", "find the cat", "remove the tree"),
    ),
    Step("story", ("a cat with a hat goes to the beach",), quick=True),
    Step("slide", ("a slide about a picnic for a dog",), quick=True),
)


def steps(quick: bool = False) -> tuple[Step, ...]:
    return tuple(step for step in STEPS if step.quick or not quick)


def perform(model: Pipeline, step: Step, examples: Path) -> Result:
    """Run one step.

    Raises:
        SeedxError: a file of the step is not in `examples`.
    """
    files = [examples / name for name in step.files]
    for file in files:
        if not file.is_file():
            raise SeedxError(f"{file} is missing; pass the folder `examples` of the repository as --examples")
    return Result(step, ACTIONS[step.kind](model, step, files))


def _talk(model: Pipeline, step: Step, files: Sequence[Path]) -> tuple[Turn, ...]:
    session, turns = model.session(), []
    latest = model.open(files[-1]) if files else None
    for number, prompt in enumerate(step.prompts):
        given = [] if number else files
        start = time.perf_counter()
        drawing: Drawing = "force" if step.kind in ("draw", "edit", "combine") else "auto"
        reply = session.send(prompt, given, drawing=drawing, max_new_tokens=LONGEST_ANSWER)
        seconds = time.perf_counter() - start
        outputs = [(picture, _size(picture)) for picture in reply.images]
        latest = reply.images[-1] if reply.images else latest
        if reply.boxes and latest:
            outputs.append(_marked(latest, reply.boxes))
        turns.append(Turn(prompt, _captioned(model, given), reply.text, tuple(outputs), seconds))
    return tuple(turns)


def _point(model: Pipeline, step: Step, files: Sequence[Path]) -> tuple[Turn, ...]:
    picture, phrase = model.open(files[0]), step.prompts[0]
    start = time.perf_counter()
    boxes = model.ground(picture, phrase, max_new_tokens=LONGEST_ANSWER)
    seconds = time.perf_counter() - start
    text = "" if boxes else "nothing found"
    return (Turn(f"find {phrase}", (), text, (_marked(picture, boxes),) if boxes else (), seconds),)


def _story(model: Pipeline, step: Step, files: Sequence[Path]) -> tuple[Turn, ...]:
    start = time.perf_counter()
    frames = model.story(step.prompts[0], FRAMES, *files[:1])
    seconds = time.perf_counter() - start
    return (
        Turn(
            step.prompts[0], _captioned(model, files), "", tuple((picture, text) for text, picture in frames), seconds
        ),
    )


def _slide(model: Pipeline, step: Step, files: Sequence[Path]) -> tuple[Turn, ...]:
    start = time.perf_counter()
    try:
        picture = model.slide(step.prompts[0]).fitted().to_image(SLIDE_WIDTH)
    except ValueError as error:  # a model may write an invalid slide
        return (Turn(step.prompts[0], (), str(error), (), time.perf_counter() - start),)
    return (Turn(step.prompts[0], (), "", ((picture, _size(picture)),), time.perf_counter() - start),)


def _redraw(model: Pipeline, step: Step, files: Sequence[Path]) -> tuple[Turn, ...]:
    (file,) = files
    start = time.perf_counter()
    plain, conditioned = model.reconstruct(file), model.reconstruct(file, condition=file)
    seconds = time.perf_counter() - start
    outputs = ((plain, "from its features"), (conditioned, "with itself as the condition"))
    return (Turn("reconstruct the picture", _captioned(model, [file]), "", outputs, seconds),)


ACTIONS: dict[Kind, Callable[[Pipeline, Step, Sequence[Path]], tuple[Turn, ...]]] = {
    "read": _talk,
    "point": _point,
    "draw": _talk,
    "edit": _talk,
    "combine": _talk,
    "redraw": _redraw,
    "talk": _talk,
    "story": _story,
    "slide": _slide,
}


def _marked(picture: PIL.Image.Image, boxes: Sequence[Box]) -> tuple[PIL.Image.Image, str]:
    return mark_boxes(picture, boxes), f"{len(boxes)} box{'es' if len(boxes) > 1 else ''}"


def _captioned(model: Pipeline, files: Sequence[Path]) -> tuple[tuple[PIL.Image.Image, str], ...]:
    pictures = [model.open(file) for file in files]
    return tuple((picture, f"{file.name}, {_size(picture)}") for file, picture in zip(files, pictures, strict=True))


def _size(picture: PIL.Image.Image) -> str:
    return f"{picture.width} x {picture.height}"
