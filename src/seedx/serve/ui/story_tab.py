"""A story: pictures with their sentences side by side, as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from seedx.errors import SeedxError
from seedx.inference.engine import Request
from seedx.inference.stories import Frame
from seedx.serve.ui import show
from seedx.serve.ui.about import Example
from seedx.serve.ui.page import Page, keep, message_of, running
from seedx.serve.ui.turns import Progress, respond
from seedx.serve.ui.visits import Visit

MOST_FRAMES = 10


class StoryTab:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.prompt = gr.Textbox(label="What is the story about?", elem_id="seedx-story-prompt")
        self.frames = gr.Slider(1, MOST_FRAMES, 5, step=1, label="Pictures")
        with gr.Row(elem_classes="seedx-controls"):
            tell = gr.Button("Tell it", variant="primary", elem_id="seedx-tell")
            self.stop = page.stop_button()
        self.strip = gr.HTML(elem_id="seedx-story")
        self.inputs = [self.prompt, self.frames, *page.options.inputs]
        for event in (tell.click, self.prompt.submit):
            event(self.tell, self.inputs, [self.strip, self.stop], show_progress="hidden", api_visibility="private")

    def offer(self, button: gr.Button, example: Example) -> None:
        async def tell(request: gr.Request, *given: Any) -> AsyncIterator[Any]:
            async for update in self.tell(request, example.text, 5, *given):
                yield gr.Tabs(selected="story"), example.text, *update

        outputs = [self.page.tabs, self.prompt, self.strip, self.stop]
        button.click(tell, self.page.options.inputs, outputs, show_progress="hidden", api_visibility="private")

    async def tell(self, request: gr.Request, prompt: str, frames: int, *given: Any) -> AsyncIterator[Any]:
        told: list[Frame] = []
        try:
            async for live in self.frames_of(self.page.visit(request), prompt, int(frames), given, told):
                shown = await self.page.service.in_pool(lambda: show.strip(told, live))  # noqa: B023 (awaited here)
                yield shown, running(True)
            yield show.strip(told), running(False)
        except SeedxError as error:
            gr.Warning(message_of(error))
            yield show.strip(told) if told else "", running(False)

    async def frames_of(
        self, visit: Visit, prompt: str, frames: int, given: tuple[Any, ...], told: list[Frame]
    ) -> AsyncIterator[Progress]:
        """Fill `told`, reply after reply: a story that ends early is continued, as by `seedx.inference.stories`."""
        chosen, service = self.page.options.chosen(given), self.page.service
        turn = service.engine.turn(prompt, (), "story", frames)
        while len(told) < frames:
            reply = None
            async for progress in respond(service, Request([turn], chosen.settings, "force", False), visit, "story"):
                if progress.reply is None:
                    yield progress
                reply = progress.reply
            assert reply is not None
            keep(visit, reply.images, prompt, chosen, len(told))
            told += reply.frames[: frames - len(told)]
            if progress.stopped or not reply.frames or reply.reason == "length":
                return
            sentence, picture = told[-1]
            turn = service.engine.turn(sentence, (picture,), "story_more", frames - len(told))
