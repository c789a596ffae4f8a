"""POST /v1/responses, with the tool `image_generation`: stateless, every request brings its whole conversation."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from seedx.inference.engine import Request
from seedx.inference.settings import Drawing
from seedx.messages import Message, Text
from seedx.serve.chat import box_items
from seedx.serve.errors import ServeError
from seedx.serve.jobs import Ended, ImageBegun, ImageDone, Preview, TextPiece
from seedx.serve.messages import Opened, conversation, in_tiles
from seedx.serve.pictures import to_base64
from seedx.serve.replies import Collected, Replies
from seedx.serve.schemas import ChatMessage, ImageTool, ResponsesRequest
from seedx.serve.service import Service, request_of

Json = dict[str, Any]


def tool_of(body: ResponsesRequest) -> ImageTool | None:
    """The image tool, where the request has one and does not turn it off.

    Raises:
        ServeError: a choice of a tool that was not given.
    """
    if body.tool_choice != "auto" and body.tool_choice != "none" and not body.tools:
        raise ServeError("tool_choice asks for a tool, and tools has none", 400, None, "tool_choice")
    return body.tools[0] if body.tools and body.tool_choice != "none" else None


async def request(service: Service, body: ResponsesRequest) -> Request:
    """
    Raises:
        ServeError: a field that can't be.
    """
    tool = tool_of(body)
    given = body if tool is None else tool.model_copy(update=body.model_dump(include=_EXTENSIONS, exclude_none=True))
    settings = service.settings(
        given, temperature=body.temperature, top_p=body.top_p, max_tokens=body.max_output_tokens
    )
    messages = [ChatMessage(role="user", content=body.input)] if isinstance(body.input, str) else body.input
    opened: list[Message[Opened]] = await service.in_pool(lambda: conversation(messages, service.pictures(), "input"))
    if body.instructions:
        opened = [Message("system", (Text(body.instructions),)), *opened]
    condition = {"auto": None, "generate": False, "edit": True}[tool.action] if tool else None
    return request_of(opened, settings, _drawing(body, tool), given, condition=condition, tiling=in_tiles(messages))


_EXTENSIONS = {"seed", "drawing", "condition", "steps", "guidance", "image_guidance", "size", "sampler", "adapter"}


def _drawing(body: ResponsesRequest, tool: ImageTool | None) -> Drawing:
    given = body.drawing or (tool.drawing if tool else None)
    if given is not None:
        return given
    if tool is None:
        return "forbid"
    return "auto" if body.tool_choice == "auto" else "force"


class Writer:
    """The response as it grows: its items, and the events that tell of them."""

    def __init__(self, service: Service, body: ResponsesRequest) -> None:
        self.service, self.body, self.tool = service, body, tool_of(body)
        self.id, self.created = f"resp_{uuid.uuid4().hex}", int(time.time())
        self.items: list[Json] = []
        self.sequence = 0
        self.message: Json | None = None  # the text item that is open
        self.text = ""
        self.calls: dict[int, int] = {}  # of each image, its place among the items

    def response(self, status: str, collected: Collected | None = None) -> Json:
        """The response object."""
        cut = collected is not None and collected.reason == "length"
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": "incomplete" if cut else status,
            "model": self.service.name,
            "output": self.items if collected is not None else [],
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "instructions": self.body.instructions,
            "metadata": {},
            "parallel_tool_calls": False,
            "temperature": self.body.temperature,
            "top_p": self.body.top_p,
            "tool_choice": self.body.tool_choice if isinstance(self.body.tool_choice, str) else "required",
            "tools": [{"type": "image_generation"}] if self.tool else [],
            "store": False,
            "usage": None if collected is None else _usage(collected),
        }

    def event(self, kind: str, **fields: Any) -> Json:
        self.sequence += 1
        return {"type": kind, "sequence_number": self.sequence - 1, **fields}

    def added(self, item: Json) -> list[Json]:
        self.items.append(item)
        return [self.event("response.output_item.added", output_index=len(self.items) - 1, item=dict(item))]

    def text_piece(self, piece: str) -> list[Json]:
        events = []
        if self.message is None:
            self.message = {
                "type": "message",
                "id": f"msg_{uuid.uuid4().hex}",
                "role": "assistant",
                "status": "in_progress",
                "content": [],
            }
            self.text, piece = "", piece.lstrip()
            events += self.added(self.message)
            events.append(self.event("response.content_part.added", **self._place(), part=_part("")))
        self.text += piece
        return [*events, self.event("response.output_text.delta", **self._place(), delta=piece, logprobs=[])]

    def close_text(self) -> list[Json]:
        if self.message is None:
            return []
        self.message["content"], self.message["status"] = [_part(self.text)], "completed"
        place = self._place()
        events = [
            self.event("response.output_text.done", **place, text=self.text, logprobs=[]),
            self.event("response.content_part.done", **place, part=_part(self.text)),
            self.event("response.output_item.done", output_index=place["output_index"], item=dict(self.message)),
        ]
        self.message = None
        return events

    def image_begun(self, number: int) -> list[Json]:
        events = self.close_text()
        name = f"ig_{uuid.uuid4().hex}"
        events += self.added({"type": "image_generation_call", "id": name, "status": "in_progress", "result": None})
        self.calls[number] = len(self.items) - 1
        return [*events, self._call(number, "in_progress"), self._call(number, "generating")]

    def preview(self, number: int, index: int, encoded: str) -> list[Json]:
        return [self._call(number, "partial_image", partial_image_index=index, partial_image_b64=encoded)]

    def image_done(self, number: int, encoded: str) -> list[Json]:
        place = self.calls[number]
        self.items[place] |= {"status": "completed", "result": encoded}
        completed = self._call(number, "completed")
        return [completed, self.event("response.output_item.done", output_index=place, item=dict(self.items[place]))]

    def _place(self) -> Json:
        assert self.message is not None
        return {"item_id": self.message["id"], "output_index": self.items.index(self.message), "content_index": 0}

    def _call(self, number: int, state: str, **fields: Any) -> Json:
        place = self.calls[number]
        return self.event(
            f"response.image_generation_call.{state}", output_index=place, item_id=self.items[place]["id"], **fields
        )


async def events(service: Service, body: ResponsesRequest, replies: Replies) -> AsyncIterator[Json]:
    """All events of a response that has begun; the last one holds it whole."""
    writer = Writer(service, body)
    tool = writer.tool or ImageTool(type="image_generation")

    async def encoded(event: Preview | ImageDone) -> str:
        return await service.in_pool(lambda: to_base64(event.image, tool.output_format, tool.output_compression))

    yield writer.event("response.created", response=writer.response("in_progress"))
    yield writer.event("response.in_progress", response=writer.response("in_progress"))
    async for _, event in replies:
        made: list[Json] = []
        if isinstance(event, TextPiece):
            made = writer.text_piece(event.text)
        elif isinstance(event, ImageBegun):
            made = writer.image_begun(event.number)
        elif isinstance(event, Preview):
            made = writer.preview(event.number, event.index, await encoded(event))
        elif isinstance(event, ImageDone):
            made = writer.image_done(event.number, await encoded(event))
        elif isinstance(event, Ended):
            made = writer.close_text()
            whole = writer.response("completed", replies.collected[0])
            if boxes := replies.collected[0].boxes:
                whole["boxes"] = box_items(boxes)
            made.append(writer.event(f"response.{whole['status']}", response=whole))
        for each in made:
            yield each


async def complete(service: Service, body: ResponsesRequest) -> Json:
    """The whole response."""
    begun = await request(service, body)
    async with Replies(service) as replies:
        await replies.begin([begun])
        last: Json = {}
        async for event in events(service, body, replies):
            last = event
    response: Json = last["response"]
    return response


def _part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(collected: Collected) -> Json:
    return {
        "input_tokens": collected.prompt_tokens,
        "input_tokens_details": {"cached_tokens": collected.cached_tokens},
        "output_tokens": collected.tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": collected.prompt_tokens + collected.tokens,
    }
