"""Between the endpoints and the scheduler: requests of clients -> jobs, and their events for coroutines.

Pictures are opened, tiled and encoded in threads of a pool, never in the event loop's.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import PIL.Image

from seedx.errors import SeedxError
from seedx.inference.engine import Conversation, Engine, Request
from seedx.inference.settings import Drawing, Settings
from seedx.messages import Message
from seedx.serve.errors import ServeError
from seedx.serve.fetch import Fetcher
from seedx.serve.messages import Pictures
from seedx.serve.metrics import Metrics
from seedx.serve.pictures import parse_size
from seedx.serve.scheduler import Scheduler
from seedx.serve.schemas import Extensions
from seedx.serve.settings import Batching, ChatDrawing, Limits

T = TypeVar("T")


class Service:
    """A model that is being served."""

    def __init__(
        self,
        engine: Engine,
        name: str,
        limits: Limits,
        batching: Batching,
        fetcher: Fetcher | None = None,
        workers: int = 4,
        drawing: ChatDrawing = "auto",
    ) -> None:
        self.engine, self.name, self.limits, self.fetcher = engine, name, limits, fetcher
        self.drawing = drawing
        self.metrics = Metrics()
        self.scheduler = Scheduler(engine, batching, limits.max_queue, self.metrics)
        self.created = int(time.time())
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="seedx-prepare")

    def start(self) -> None:
        self.scheduler.start()

    def stop(self) -> None:
        self.scheduler.stop()
        self._pool.shutdown(cancel_futures=True)

    async def in_pool(self, function: Callable[[], T]) -> T:
        """Run what takes the CPU apart from the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)

    def pictures(self) -> Pictures:
        return Pictures(self.limits, self.fetcher)

    def settings(
        self,
        given: Extensions,
        *,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
    ) -> Settings:
        """A request's fields as settings; what is not given is as the library has it.

        Raises:
            ServeError: out of range, or over a limit; it names the field.
        """
        limits, size = self.limits, None
        if max_tokens is not None and max_tokens > limits.max_tokens:
            raise ServeError(f"max_tokens is at most {limits.max_tokens} here", 400, "over_limit", "max_tokens")
        steps = given.steps if given.steps is not None else given.num_inference_steps
        if steps is not None and steps > limits.max_steps:
            raise ServeError(f"steps is at most {limits.max_steps} here", 400, "over_limit", "steps")
        if given.size is not None and given.size != "auto":
            size = parse_size(given.size)
            best = self.engine.model.config.detokenizer.image_size**2
            if size[0] * size[1] > limits.max_area * best:
                raise ServeError(
                    f"size: an image has at most {limits.max_area * best:,} pixels here; {best:,} are drawn best",
                    400,
                    "over_limit",
                    "size",
                )
        default = Settings(max_new_tokens=min(Settings.max_new_tokens, limits.max_tokens))
        values: dict[str, object] = {
            "seed": given.seed,
            "size": size,
            "steps": steps,
            "sampler": given.sampler,
            "guidance": given.guidance if given.guidance is not None else given.guidance_scale,
            "image_guidance": given.image_guidance,
            "temperature": temperature,
            "top_p": top_p,
            "max_new_tokens": max_tokens,
        }
        try:
            return dataclasses.replace(default, **{k: v for k, v in values.items() if v is not None})  # type: ignore[arg-type]
        except SeedxError as error:
            raise _named(error, values) from error

    def repeated(self, request: Request, n: int) -> list[Request]:
        """The request `n` times, with seeds that follow each other."""
        settings = request.settings
        return [
            dataclasses.replace(request, settings=dataclasses.replace(settings, seed=settings.seed + number))
            for number in range(n)
        ]


def _named(error: SeedxError, values: dict[str, object]) -> ServeError:
    """The error, with the field that its message begins with."""
    words = re.findall(r"\w+", str(error))
    names = [word for word in words[:6] if word in values]
    param = names[0] if names else None
    if param == "max_new_tokens":
        param = "max_tokens"
    return ServeError(str(error).replace("max_new_tokens", "max_tokens"), 400, "invalid_value", param)


def request_of(
    conversation: Sequence[Message[PIL.Image.Image]],
    settings: Settings,
    drawing: Drawing,
    given: Extensions,
    *,
    condition: bool | None = None,
    tiling: bool = True,
    grids: tuple[str, ...] | None = None,
    one_image: bool = False,
) -> Request:
    asked = given.condition if given.condition is not None else condition
    opened: Conversation = conversation
    return Request(opened, settings, drawing, asked, tiling, grids, adapter=given.adapter, one_image=one_image)
