"""A slide, and its file for presentation programs."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr

from seedx.errors import MissingPackageError, SeedxError
from seedx.inference.engine import Request
from seedx.inference.reply import Reply
from seedx.serve.ui import show
from seedx.serve.ui.about import Example
from seedx.serve.ui.page import Page, keep, message_of, running
from seedx.serve.ui.turns import Progress, respond
from seedx.slides import Slide

WIDTH = 768  # pixels


class SlideTab:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.prompt = gr.Textbox(label="What is the slide about?", elem_id="seedx-slide-prompt")
        with gr.Row(elem_classes="seedx-controls"):
            make = gr.Button("Lay it out", variant="primary", elem_id="seedx-lay-out")
            self.stop = page.stop_button()
        self.slide = gr.HTML(elem_id="seedx-slide")
        self.file = gr.DownloadButton("Download .pptx", interactive=False, elem_id="seedx-pptx")
        self.outputs = [self.slide, self.file, self.stop]
        inputs = [self.prompt, *page.options.inputs]
        for event in (make.click, self.prompt.submit):
            event(self.make, inputs, self.outputs, show_progress="hidden", api_visibility="private")

    def offer(self, button: gr.Button, example: Example) -> None:
        async def make(request: gr.Request, *given: Any) -> AsyncIterator[Any]:
            async for update in self.make(request, example.text, *given):
                yield gr.Tabs(selected="slide"), example.text, *update

        outputs = [self.page.tabs, self.prompt, *self.outputs]
        button.click(make, self.page.options.inputs, outputs, show_progress="hidden", api_visibility="private")

    async def make(self, request: gr.Request, prompt: str, *given: Any) -> AsyncIterator[Any]:
        service, visit, none = self.page.service, self.page.visit(request), gr.update(value=None, interactive=False)
        try:
            chosen = self.page.options.chosen(given)
            asked = Request([service.engine.turn(prompt)], chosen.settings, condition=False)
            async for progress in respond(service, asked, visit, "slide"):
                if progress.reply is None:
                    shown = await service.in_pool(lambda: writing(progress, prompt))  # noqa: B023 (awaited here)
                    yield shown, none, running(True)
            reply = progress.reply
            assert reply is not None
            keep(visit, reply.images, prompt, chosen)
            if progress.stopped:
                yield show.note("Stopped."), none, running(False)
                return
            shown, file = await service.in_pool(lambda: finished(reply, prompt))
            yield shown, gr.update(value=file, interactive=file is not None), running(False)
        except SeedxError as error:
            gr.Warning(message_of(error))
            yield "", none, running(False)


def writing(progress: Progress, prompt: str) -> str:
    """A slide that is not finished: how much is written, and its picture as it comes."""
    written = sum(len(part) for part in progress.parts if isinstance(part, str))
    return show.note(f"writing the layout … {written} characters") + "".join(
        show.slot(each, prompt) for each in progress.slots
    )


def finished(reply: Reply, prompt: str) -> tuple[str, str | None]:
    """The slide as HTML, and its file; no file where python-pptx is missing.

    Raises:
        SeedxError: the reply is no slide.
    """
    slide = Slide.parse(reply.content).fitted()
    notes = [*(f"repaired: {each}" for each in slide.repairs), *slide.problems()]
    shown = show.picture(slide.to_image(WIDTH), f"a slide: {slide.title or prompt}", kind="slide")
    shown += "".join(show.note(each) for each in notes)
    path = Path(tempfile.mkdtemp(prefix="slide-")) / "slide.pptx"
    try:
        slide.to_pptx(path)
    except MissingPackageError as error:
        return shown + show.note(str(error)), None
    return shown, str(path)
