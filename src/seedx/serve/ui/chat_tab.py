"""The conversation: several pictures in, words, boxes and pictures out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import PIL.Image

from seedx.errors import SeedxError
from seedx.inference.engine import Request
from seedx.inference.reply import Reply
from seedx.inference.settings import Drawing
from seedx.messages import Box, Image, Message, Part, Text, images
from seedx.serve.errors import ServeError
from seedx.serve.ui import show
from seedx.serve.ui.about import Example
from seedx.serve.ui.options import Chosen
from seedx.serve.ui.page import Page, keep, message_of, running
from seedx.serve.ui.turns import respond
from seedx.serve.ui.visits import Visit
from seedx.tokens import strip_boxes, text_to_boxes

DRAWING = [("as the model decides", "auto"), ("always draw", "force"), ("words only", "forbid")]
Shown = list[dict[str, str]]


class ChatTab:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.chat = gr.Chatbot(
            label="Conversation",
            show_label=False,
            height="46vh",
            min_height=320,
            latex_delimiters=[],
            buttons=[],
            layout="bubble",
            placeholder="Ask about pictures, or ask for one. Pictures can be dropped or pasted into the field below.",
            elem_id="seedx-chat",
            group_consecutive_messages=False,
        )
        self.box = gr.MultimodalTextbox(
            placeholder="Message; pictures by drag, paste or the button",
            label="Message",
            show_label=False,
            file_count="multiple",
            file_types=["image"],
            sources=["upload"],
            max_lines=6,
            elem_id="seedx-message",
        )
        with gr.Row(elem_classes="seedx-controls"):
            self.drawing = gr.Radio(DRAWING, value="auto", label="Drawing", elem_id="seedx-drawing", scale=4)
            self.stop = page.stop_button()
            new = gr.Button("New conversation", min_width=160, elem_id="seedx-new")
        self.outputs = [self.chat, self.stop]
        sent = [self.box, self.drawing, *page.options.inputs]
        self.box.submit(self.send, sent, [self.box, *self.outputs], show_progress="hidden", api_visibility="private")
        for event in (new.click, self.chat.clear):
            event(self.forget, None, self.outputs, queue=False, show_progress="hidden", api_visibility="private")

    def forget(self, request: gr.Request) -> tuple[Shown, dict[str, object]]:
        self.page.visit(request).forget_conversation()
        return [], running(False)

    async def send(
        self, request: gr.Request, message: dict[str, Any], drawing: Drawing, *given: Any
    ) -> AsyncIterator[Any]:
        """What the field holds; it is empty once it is sent."""
        words, files = message.get("text") or "", message.get("files") or []
        visit = self.page.visit(request)
        if not words.strip() and not files:
            yield gr.skip(), gr.skip(), gr.skip()
            return
        if visit.talking is not None:
            gr.Warning("A reply is being written: wait for its end, or stop it.")
            yield gr.skip(), gr.skip(), gr.skip()
            return
        field: Any = None
        async for update in self.talk(visit, [words], files, drawing, given):
            yield field, *update
            field = gr.skip()

    def offer(self, button: gr.Button, example: Example) -> None:
        """A button that sends an example, as a new conversation."""

        async def send(request: gr.Request, *given: Any) -> AsyncIterator[Any]:
            visit = self.page.visit(request)
            visit.forget_conversation()
            turns = [example.text, *example.more]
            async for update in self.talk(visit, turns, self.page.about.paths(example), "auto", given):
                yield gr.Tabs(selected="chat"), *update

        options = self.page.options
        button.click(
            send, options.inputs, [self.page.tabs, *self.outputs], show_progress="hidden", api_visibility="private"
        )

    async def talk(
        self, visit: Visit, turns: Sequence[str], files: Sequence[str | Path], drawing: Drawing, given: tuple[Any, ...]
    ) -> AsyncIterator[tuple[Shown, dict[str, object]]]:
        """Turn by turn; the files are those of the first."""
        shown = visit.talking = visit.shown
        before = len(shown)
        try:
            chosen = self.page.options.chosen(given)
            pictures = await self.page.opened(files)
            for words in turns:
                async for update in self.turn(visit, words, pictures, drawing, chosen):
                    if visit.shown is not shown:  # a new conversation has begun
                        return
                    yield update, running(True)
                pictures = []
        except SeedxError as error:
            if len(shown) == before:  # it was not said yet: a setting or a picture is wrong
                shown.append(show.asked(turns[0], []))
            shown.append(show.failed(message_of(error)))
        finally:
            if visit.talking is shown:
                visit.talking = None
        yield list(shown), running(False)

    async def turn(
        self, visit: Visit, words: str, pictures: list[PIL.Image.Image], drawing: Drawing, chosen: Chosen
    ) -> AsyncIterator[Shown]:
        """One turn. It becomes part of the conversation if anything came of it."""
        service, messages, shown = self.page.service, visit.messages, visit.shown
        shown.append(await service.in_pool(lambda: show.asked(words, pictures)))
        message = service.engine.turn(words, pictures)
        conversation = [*messages, message]
        if len(images(conversation)) > service.limits.max_images:
            raise ServeError(
                f"a conversation has at most {service.limits.max_images} pictures here, those drawn included: begin a "
                "new one"
            )
        before = images(conversation)[-1].image if images(conversation) else None
        request = Request(conversation, chosen.settings, drawing)
        answer: dict[str, str] = {}
        async for progress in respond(service, request, visit, "chat"):
            answer = await service.in_pool(lambda: show.answered(progress, words, before))  # noqa: B023 (awaited here)
            yield [*shown, answer]
            reply = progress.reply
        shown.append(answer)
        if reply is not None and reply.content:
            messages += [message, as_message(reply)]
            keep(visit, reply.images, words, chosen)


def as_message(reply: Reply) -> Message[PIL.Image.Image]:
    """A reply as the model reads it in later turns."""
    parts: list[Part[PIL.Image.Image]] = []
    for part in reply.content:
        if isinstance(part, Image):
            parts.append(part)
            continue
        words = strip_boxes(part.text)
        parts += [Text(words)] if words else []
        parts += [Box(box.box) for box in text_to_boxes(part.text)]
    return Message("assistant", tuple(parts))
