"""POST /v1/images/generations and /v1/images/edits."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import PIL.Image

from seedx.errors import SeedxError
from seedx.inference.engine import Request
from seedx.serve.chat import usage
from seedx.serve.errors import ServeError, refused
from seedx.serve.jobs import Ended, ImageDone, Preview
from seedx.serve.pictures import apply_mask, to_base64
from seedx.serve.replies import Collected, Replies
from seedx.serve.schemas import GenerationRequest
from seedx.serve.service import Service, request_of
from seedx.variants import Verb

Json = dict[str, Any]


class Task:
    """A generation, or an edit of pictures.

    Args:
        mask: what is transparent in it is changed in the first picture, and nothing else.
    """

    def __init__(
        self,
        service: Service,
        body: GenerationRequest,
        pictures: Sequence[PIL.Image.Image] = (),
        mask: PIL.Image.Image | None = None,
    ) -> None:
        self.service, self.body, self.mask = service, body, mask
        self.pictures = list(pictures)
        self.kind = "image_edit" if pictures else "image_generation"
        if body.response_format == "url":
            raise refused("response_format", "this server keeps no files: images come as b64_json")
        if not 1 <= body.n <= service.limits.max_n:
            raise ServeError(f"n is from 1 to {service.limits.max_n} here, not {body.n}", 400, "over_limit", "n")
        if body.stream and body.n > 1:
            raise refused("n", "a stream has one image")
        if mask is not None:
            if "A" not in mask.getbands():
                raise ServeError("mask: it has no alpha channel: transparent is what is changed", 400, None, "mask")
            if mask.size != self.pictures[0].size:
                raise ServeError(
                    f"mask: it has {mask.size} pixels and the picture {self.pictures[0].size}: make them alike",
                    400,
                    None,
                    "mask",
                )

    async def requests(self) -> list[Request]:
        """
        Raises:
            ServeError: a field that can't be, or a model that does not edit.
        """
        body, variant = self.body, self.service.engine.variant
        settings = self.service.settings(body, temperature=body.temperature, top_p=body.top_p)
        verb: Verb = "edit" if self.pictures else "draw"
        if self.pictures and not variant.edits and body.condition is None:
            raise ServeError(
                f"{variant.title} was not trained to edit; condition=true tries it", 400, None, "condition"
            )
        try:
            turn = self.service.engine.turn(body.prompt, self.ordered, verb)
        except SeedxError as error:
            raise ServeError(f"prompt: {error}", 400, "invalid_value", "prompt") from error
        drawing = body.drawing or ("now" if not self.pictures and variant.draw.at_once else "force")
        if drawing in ("auto", "forbid"):
            raise refused("drawing", 'this endpoint always draws: "force" or "now"')
        request = request_of(
            [turn],
            settings,
            drawing,
            body,
            condition=True if self.pictures else None,
            grids=variant.edit_grids if self.pictures else None,
            one_image=True,
        )
        return self.service.repeated(request, body.n)

    @property
    def ordered(self) -> list[PIL.Image.Image]:
        """The first picture is the one that is changed: it comes last, where the model keeps its detail."""
        return [*self.pictures[1:], *self.pictures[:1]]

    async def encoded(self, image: PIL.Image.Image) -> str:
        def made() -> str:
            result = image if self.mask is None else apply_mask(image, self.pictures[0], self.mask)
            return to_base64(result, self.body.output_format, self.body.output_compression)

        return await self.service.in_pool(made)

    def sizes(self, image: PIL.Image.Image) -> Json:
        return {
            "size": f"{image.width}x{image.height}",
            "output_format": self.body.output_format,
            "quality": "auto",
            "background": "opaque",
        }


async def complete(task: Task) -> Json:
    """The whole answer."""
    requests = await task.requests()
    async with Replies(task.service) as replies:
        await replies.begin(requests)
        collected = await replies.all()
    images = [each.drawn[0] for each in collected]
    data = [{"b64_json": await task.encoded(image)} for image in images]
    return {"created": int(time.time()), "data": data, **task.sizes(images[0]), "usage": image_usage(collected)}


async def stream(task: Task, replies: Replies) -> AsyncIterator[Json]:
    """The events of one image: previews and the image itself."""
    async for _, event in replies:
        if isinstance(event, Preview) and event.number == 0:
            yield {
                "type": f"{task.kind}.partial_image",
                "b64_json": await task.encoded(event.image),
                "partial_image_index": event.index,
                "created_at": int(time.time()),
                **task.sizes(event.image),
            }
        elif isinstance(event, ImageDone) and event.number == 0:
            image = event.image
        elif isinstance(event, Ended):
            yield {
                "type": f"{task.kind}.completed",
                "b64_json": await task.encoded(image),
                "created_at": int(time.time()),
                **task.sizes(image),
                "usage": image_usage(replies.collected),
            }


def image_usage(collected: list[Collected]) -> Json:
    """The tokens in the names of this endpoint."""
    counts = usage(collected)
    return {
        "input_tokens": counts["prompt_tokens"],
        "output_tokens": counts["completion_tokens"],
        "total_tokens": counts["total_tokens"],
        "input_tokens_details": {"text_tokens": counts["prompt_tokens"], "image_tokens": 0},
    }
