"""A server of the tiny model on a free port of this machine, in a thread of this process."""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import openai
import PIL.Image
import uvicorn

from seedx.inference.pipeline import Pipeline
from seedx.serve import server
from seedx.serve.app import ANYONE, Access, create_app
from seedx.serve.fetch import Fetcher
from seedx.serve.service import Service
from seedx.serve.settings import BATCHING, LIMITS, Batching, Limits

KEY = "a key of the tests"


@dataclass
class Running:
    url: str
    service: Service

    def client(self, key: str = "none", **options: object) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, **options)  # type: ignore[arg-type]


def started(
    model: Pipeline,
    limits: Limits = LIMITS,
    batching: Batching = BATCHING,
    access: Access = ANYONE,
    fetcher: Fetcher | None = None,
) -> Iterator[Running]:
    """Serve until the generator is closed."""
    service = Service(model.engine, "tiny", limits, batching, fetcher)
    opened = server.listen("127.0.0.1", 0)
    config = uvicorn.Config(create_app(service, access), log_level="warning")
    running = server.Server(config, service.scheduler)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [opened]})
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield Running(f"http://127.0.0.1:{opened.getsockname()[1]}", service)
    running.should_exit = True
    thread.join(30)


def png(picture: PIL.Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def uri(picture: PIL.Image.Image) -> str:
    return f"data:image/png;base64,{base64.b64encode(png(picture)).decode()}"


def opened(encoded: str) -> PIL.Image.Image:
    """A picture from base64, or from a data URI."""
    return PIL.Image.open(io.BytesIO(base64.b64decode(encoded.split(",")[-1])))


def same(one: PIL.Image.Image, other: PIL.Image.Image) -> bool:
    """Equal within one level."""
    if one.size != other.size:
        return False
    difference = np.abs(np.asarray(one.convert("RGB"), int) - np.asarray(other.convert("RGB"), int))
    return int(difference.max()) <= 1


def asked(text: str, *pictures: PIL.Image.Image) -> list[Any]:
    """One user's message."""
    content: list[Any] = [{"type": "image_url", "image_url": {"url": uri(each)}} for each in pictures]
    return [{"role": "user", "content": [*content, {"type": "text", "text": text}]}]
