"""An edit: the whole picture or a painted region of it, with a slider between before and after."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
import PIL.Image

from seedx.errors import SeedxError
from seedx.serve.errors import ServeError
from seedx.serve.images import Task
from seedx.serve.pictures import apply_mask
from seedx.serve.schemas import GenerationRequest
from seedx.serve.ui import show
from seedx.serve.ui.about import Example
from seedx.serve.ui.options import Chosen
from seedx.serve.ui.page import Page, keep, message_of, running
from seedx.serve.ui.region import Painted, enlarged, limit_editor, png
from seedx.serve.ui.turns import respond
from seedx.serve.ui.visits import Visit

Pair = tuple[PIL.Image.Image, PIL.Image.Image]


class EditTab:
    def __init__(self, page: Page) -> None:
        self.page = page
        limit_editor()
        with gr.Row():
            with gr.Column(min_width=280):
                self.editor = gr.ImageEditor(
                    label="Picture",
                    sources=["upload", "clipboard"],
                    transforms=[],
                    layers=False,
                    placeholder="Drop, paste or choose a picture",
                    brush=gr.Brush(default_size=24, colors=["#ff4fa3b3"], color_mode="fixed"),
                    canvas_size=(448, 448),
                    elem_id="seedx-editor",
                    height=460,
                )
            with gr.Column(min_width=280):
                self.slider = gr.ImageSlider(
                    label="Before and after", format="png", interactive=False, elem_id="seedx-slider", height=460
                )
        gr.HTML(
            show.note(
                "With the brush, paint over the region that may change; paint nothing to change the whole picture."
            )
        )
        self.words = gr.Textbox(label="What to change", elem_id="seedx-edit-prompt")
        with gr.Row(elem_classes="seedx-controls"):
            edit = gr.Button("Edit", variant="primary", elem_id="seedx-edit")
            self.stop = page.stop_button()
            again = gr.Button("Go on with the result", elem_id="seedx-again")
        self.state = gr.HTML()
        self.outputs = [self.slider, self.state, self.stop]
        inputs = [self.editor, self.words, *page.options.inputs]
        for event in (edit.click, self.words.submit):
            event(self.edit, inputs, self.outputs, show_progress="hidden", api_visibility="private")
        again.click(self.go_on, None, self.editor, show_progress="hidden", api_visibility="private")

    def go_on(self, request: gr.Request) -> Any:
        """The result takes the place of the picture."""
        edited = self.page.visit(request).edited
        return gr.skip() if edited is None else enlarged(edited)

    def offer(self, button: gr.Button, example: Example) -> None:
        async def edit(request: gr.Request, *given: Any) -> AsyncIterator[Any]:
            [picture] = await self.page.opened(self.page.about.paths(example))
            start: Any = enlarged(picture)
            async for update in self.edit(request, Painted(png(picture), ()), example.text, *given):
                yield gr.Tabs(selected="edit"), start, example.text, *update
                start = gr.skip()

        outputs = [self.page.tabs, self.editor, self.words, *self.outputs]
        button.click(edit, self.page.options.inputs, outputs, show_progress="hidden", api_visibility="private")

    async def edit(self, request: gr.Request, painted: Painted | None, words: str, *given: Any) -> AsyncIterator[Any]:
        visit = self.page.visit(request)
        try:
            if painted is None:
                raise ServeError("give a picture to be changed: drop, paste or choose one")
            chosen = self.page.options.chosen(given)
            async for pair, note in self.steps(visit, painted, words, chosen):
                yield (pair or gr.skip()), note, running(True)
            yield gr.skip(), gr.skip(), running(False)
        except SeedxError as error:
            gr.Warning(message_of(error))
            yield gr.skip(), "", running(False)

    async def steps(
        self, visit: Visit, painted: Painted, words: str, chosen: Chosen
    ) -> AsyncIterator[tuple[Pair | None, str]]:
        """Before and after, the latter as it is drawn; and what is to be said."""
        service = self.page.service
        before, mask = await service.in_pool(lambda: painted.open(service.pictures()))
        body = GenerationRequest.model_validate({**chosen.values, "prompt": words})
        task = Task(service, body, [before], mask)
        [request] = await task.requests()
        async for progress in respond(service, request, visit, "edit"):
            slot = progress.slots[0] if progress.slots else None
            note = f"drawing … {slot.share:.0%}" if slot else "reading the picture …"
            if slot is None or slot.picture is None:
                yield None, show.note(note)
                continue
            drawn = slot.picture

            def pair() -> tuple[PIL.Image.Image, Pair]:
                after = drawn if mask is None else apply_mask(drawn, before, mask)  # noqa: B023 (called here)
                return after, beside(before, after)

            after, both = await service.in_pool(pair)
            yield both, show.note(note if progress.reply is None else "")
        if progress.stopped:
            yield None, show.note("Stopped.")
        elif progress.slots:
            visit.edited = after
            keep(visit, [after], words, chosen)
            yield None, ""


def beside(before: PIL.Image.Image, after: PIL.Image.Image) -> Pair:
    """Both at one size, so that the slider shows the same place of each."""
    large = enlarged(after)
    return before.convert("RGB").resize(large.size, PIL.Image.Resampling.BICUBIC), large
