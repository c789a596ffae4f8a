"""`seedx chat`."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from seedx.errors import SeedxError
from seedx.inference.settings import Drawing, Settings
from seedx.verbs.options import SETTINGS, TINY, Source
from seedx.verbs.output import box_lines, boxes_as_json, keep_images, print_json


def chat(
    prompt: str = "",
    /,
    *,
    images: tuple[Path, ...] = (),
    drawing: Drawing = "auto",
    condition: bool = False,
    out: Path = Path("."),
    interactive: bool = False,
    json: bool = False,
    source: Source = TINY,
    settings: Settings = SETTINGS,
) -> None:
    """Ask a question or give an instruction, with or without images; without a prompt, start a conversation.

    Args:
        prompt: the question or instruction.
        images: images that the prompt is about.
        drawing: auto: the model decides whether to draw; force: at least one image; now: an image first; forbid: none.
        condition: a drawn image keeps the detail of the last image before it, also by a model that was not trained so.
        out: folder to write the drawn images to.
        interactive: continue the conversation after the prompt.
        json: print one object with text, boxes, images and seconds.
    """
    if json and (interactive or not prompt):
        raise SeedxError("--json answers one prompt: give a prompt, and leave out --interactive")
    if not prompt or interactive:
        from seedx.verbs import repl

        repl.run(source.load(), prompt, images, drawing, out, settings, condition or None)
        return
    if not prompt.strip():
        raise SeedxError("the prompt is empty: expected a question or an instruction")
    model = source.load()
    start = time.perf_counter()
    reply = model.chat(prompt, images, drawing=drawing, condition=condition or None, **dataclasses.asdict(settings))
    seconds = round(time.perf_counter() - start, 3)
    files = [str(file) for file in keep_images(reply.images, out)]
    if json:
        boxes = boxes_as_json(reply.boxes)
        print_json({"text": reply.text, "boxes": boxes, "images": files, "seconds": seconds})
    else:
        print("\n".join([reply.text, *box_lines(reply.boxes), *files]).strip())
