"""POST /v1/chat/completions."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from seedx.inference.engine import Request
from seedx.inference.settings import Drawing
from seedx.messages import Box
from seedx.serve.errors import ServeError, refused
from seedx.serve.jobs import Ended, ImageDone, TextPiece
from seedx.serve.messages import conversation, in_tiles
from seedx.serve.pictures import to_data_uri
from seedx.serve.replies import Collected, Replies
from seedx.serve.schemas import ChatRequest
from seedx.serve.service import Service, request_of

Json = dict[str, Any]


async def requests_of(service: Service, body: ChatRequest) -> list[Request]:
    """`n` requests, whose seeds follow each other.

    Raises:
        ServeError: a field that can't be.
    """
    if not 1 <= body.n <= service.limits.max_n:
        raise ServeError(f"n is from 1 to {service.limits.max_n} here, not {body.n}", 400, "over_limit", "n")
    most = body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens
    settings = service.settings(body, temperature=body.temperature, top_p=body.top_p, max_tokens=most)
    opened = await service.in_pool(lambda: conversation(body.messages, service.pictures()))
    first = request_of(opened, settings, _drawing(service, body), body, tiling=in_tiles(body.messages))
    return service.repeated(first, body.n)


def stops(body: ChatRequest) -> list[str]:
    stop = [body.stop] if isinstance(body.stop, str) else body.stop or []
    if len(stop) > 4:
        raise refused("stop", "at most four sequences")
    return stop


async def complete(service: Service, body: ChatRequest) -> Json:
    """The whole answer.

    Raises:
        ServeError: it can't be given.
    """
    requests = await requests_of(service, body)
    async with Replies(service, stops(body)) as replies:
        await replies.begin(requests)
        collected = await replies.all()
    choices = []
    for index, each in enumerate(collected):
        message: Json = {"role": "assistant", "content": each.text, "refusal": None}
        if each.images:
            message["images"] = await service.in_pool(lambda each=each: image_items(each))  # type: ignore[misc]
        if each.boxes:
            message["boxes"] = box_items(each.boxes)
        choices.append({"index": index, "message": message, "logprobs": None, "finish_reason": each.reason})
    return {**_head(service, "chat.completion"), "choices": choices, "usage": usage(collected)}


async def stream(service: Service, body: ChatRequest, replies: Replies) -> AsyncIterator[Json]:
    """The chunks of an answer that has begun."""
    head = _head(service, "chat.completion.chunk")

    def chunk(index: int, delta: Json, reason: str | None = None) -> Json:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**head, "choices": [choice]} | ({"usage": None} if body.stream_options.include_usage else {})

    for index in range(len(replies.jobs)):
        yield chunk(index, {"role": "assistant", "content": ""})
    async for index, event in replies:
        if isinstance(event, TextPiece):
            yield chunk(index, {"content": event.text})
        elif isinstance(event, ImageDone):
            url = await service.in_pool(lambda event=event: to_data_uri(event.image))  # type: ignore[misc]
            yield chunk(index, {"images": [image_item(event.number, url)]})
        elif isinstance(event, Ended):
            if boxes := replies.collected[index].boxes:
                yield chunk(index, {"boxes": box_items(boxes)})
            yield chunk(index, {}, event.reason)
    if body.stream_options.include_usage:
        yield {**head, "choices": [], "usage": usage(replies.collected)}


def image_item(index: int, url: str) -> Json:
    return {"type": "image_url", "index": index, "image_url": {"url": url}}


def image_items(collected: Collected) -> list[Json]:
    return [image_item(index, to_data_uri(image)) for index, image in enumerate(collected.drawn)]


def box_items(boxes: list[Box]) -> list[Json]:
    return [{"label": box.label, "box": [round(side, 4) for side in box.box]} for box in boxes]


def usage(collected: list[Collected]) -> Json:
    """Tokens, those of pictures included. The prompt counts once, however many replies it has."""
    prompt, reply = collected[0].prompt_tokens, sum(each.tokens for each in collected)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": reply,
        "total_tokens": prompt + reply,
        "prompt_tokens_details": {"cached_tokens": collected[0].cached_tokens},
    }


def _drawing(service: Service, body: ChatRequest) -> Drawing:
    if body.drawing is not None:
        return body.drawing
    if body.modalities is None:
        return service.drawing
    if "image" not in body.modalities:
        return "forbid"
    return "force" if body.modalities == ["image"] else "auto"


def _head(service: Service, kind: str) -> Json:
    name = f"chatcmpl-{uuid.uuid4().hex}"
    return {"id": name, "object": kind, "created": int(time.time()), "model": service.name, "system_fingerprint": None}
