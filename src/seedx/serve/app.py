"""The application: OpenAI's endpoints over one model (https://platform.openai.com/docs/api-reference)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import Receive, Scope, Send

from seedx.errors import shorten
from seedx.serve import chat, images, responses
from seedx.serve.errors import ServeError
from seedx.serve.guard import Guard, answer
from seedx.serve.replies import Replies
from seedx.serve.schemas import ChatRequest, GenerationRequest, ResponsesRequest
from seedx.serve.service import Service

T = TypeVar("T")
B = TypeVar("B", bound=BaseModel)
Json = dict[str, Any]
LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        keys: one of them must come with a request; none: anyone may ask.
        origins: of web pages that may, for CORS.
        hosts: names that the server may be called by; none: any. For a server of this machine alone they keep web
            pages from reaching it by a name of theirs.
    """

    keys: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


ANYONE = Access()


def create_app(service: Service, access: Access = ANYONE) -> FastAPI:
    """The application of a service; the service starts and stops with it."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await asyncio.to_thread(service.stop)

    app = FastAPI(title="seedx", version=version("seedx"), lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.service = service
    _add_errors(app)
    _add_endpoints(app, service)
    _add_information(app, service)
    app.add_middleware(Guard, keys=access.keys, max_bytes=service.limits.max_body_mb * 1_000_000)
    if access.hosts:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(access.hosts), www_redirect=False)
    if access.origins:
        app.add_middleware(CORSMiddleware, allow_origins=list(access.origins), allow_methods=["*"], allow_headers=["*"])
    return app


def _add_endpoints(app: FastAPI, service: Service) -> None:
    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request) -> Response:
        body = await _body(request, ChatRequest)
        if not body.stream:
            return await _whole(service, request, chat.complete(service, body))
        replies = Replies(service, chat.stops(body))
        await replies.begin(await chat.requests_of(service, body))
        return _events(service, request, replies, chat.stream(service, body, replies), done=True)

    @app.post("/v1/images/generations")
    async def generations(request: Request) -> Response:
        return await image(request, images.Task(service, await _body(request, GenerationRequest)))

    @app.post("/v1/images/edits")
    async def edits(request: Request) -> Response:
        return await image(request, await _edit(service, request))

    async def image(request: Request, task: images.Task) -> Response:
        if not task.body.stream:
            return await _whole(service, request, images.complete(task))
        replies = Replies(service, previews=task.body.partial_images)
        await replies.begin(await task.requests())
        return _events(service, request, replies, images.stream(task, replies), named=True)

    @app.post("/v1/responses")
    async def create_response(request: Request) -> Response:
        body = await _body(request, ResponsesRequest)
        if not body.stream:
            return await _whole(service, request, responses.complete(service, body))
        tool = responses.tool_of(body)
        replies = Replies(service, previews=tool.partial_images if tool else 0)
        await replies.begin([await responses.request(service, body)])
        return _events(service, request, replies, responses.events(service, body, replies), named=True)


def _add_information(app: FastAPI, service: Service) -> None:
    card = {"id": service.name, "object": "model", "created": service.created, "owned_by": "seedx"}

    @app.get("/v1/models")
    async def models() -> Json:
        return {"object": "list", "data": [card]}

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> Json:
        if name != service.name:
            raise ServeError(f"there is no model {name[:80]!r} here, but {service.name!r}", 404, "model_not_found")
        return card

    @app.get("/health")
    async def health() -> Response:
        draining = service.scheduler.is_draining
        return JSONResponse({"status": "draining" if draining else "ready"}, 503 if draining else 200)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(ServeError)
    async def serve_error(_: Request, error: ServeError) -> Response:
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def validation(_: Request, error: RequestValidationError) -> Response:
        return answer(ServeError(str(error)[:500]))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        message = f"{request.method} {request.url.path[:80]}: {error.detail}"
        return answer(ServeError(message, error.status_code, "not_found" if error.status_code == 404 else None))


async def _body(request: Request, model: type[B]) -> B:
    """The body of a request.

    Raises:
        ServeError: no JSON, or a field that is wrong or unknown; it is named.
    """
    read = await request.body()
    try:
        data = json.loads(read)
    except (ValueError, RecursionError) as error:
        raise ServeError("the body is no valid JSON", 400, "invalid_json") from error
    return _validated(data, model)


def _validated(data: object, model: type[B]) -> B:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=True)[0]
        if isinstance(refusal := first.get("ctx", {}).get("error"), ServeError):
            raise refusal from error
        param = ".".join(str(part) for part in first["loc"]) or None
        given = shorten(first.get("input"))
        raise ServeError(f"{param or 'body'}: {first['msg']}, not {given}", 400, "invalid_value", param) from error


async def _edit(service: Service, request: Request) -> images.Task:
    """The form of an edit: its pictures as `image` or `image[]`, a mask, and its other fields as text.

    Raises:
        ServeError: no picture, or a field that is wrong or unknown.
    """
    limits = service.limits
    try:
        form = await request.form(max_files=limits.max_images + 1, max_fields=64)
    except HTTPException as error:
        raise ServeError(f"the form can't be read: {error.detail}", 400, "invalid_form") from error
    opened, uploads, mask, fields = service.pictures(), [], None, {}
    for name, value in form.multi_items():
        if not isinstance(value, UploadFile):
            fields[name] = value
        elif name in ("image", "image[]"):
            uploads.append(await value.read())
        elif name == "mask":
            mask = await value.read()
        else:
            raise ServeError(f"{name[:80]}: no field of a file here: image, image[] or mask", 400, None, name[:80])
    if not uploads:
        raise ServeError("image: send the picture to be edited as the file `image`", 400, "missing", "image")
    body = _validated(fields, GenerationRequest)  # all are texts, from which pydantic reads numbers and truth values
    pictures = await service.in_pool(lambda: [opened.of_bytes(data, "image") for data in uploads])
    transparent = None if mask is None else await service.in_pool(lambda: opened.mask(mask))
    return images.Task(service, body, pictures, transparent)


async def _whole(service: Service, request: Request, work: Awaitable[T]) -> Response:
    """The answer, unless the client goes away first: its work then ends at the next step."""
    start = time.monotonic()
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    status = 499
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            return Response(status_code=499)
        result = task.result()
        status = 200
        return JSONResponse(result)
    except ServeError as error:
        status = error.status
        raise
    finally:
        gone.cancel()
        _count(service, request, status, start)


async def _gone(request: Request) -> None:
    """Wait until the client has gone away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _events(
    service: Service,
    request: Request,
    replies: Replies,
    chunks: AsyncIterator[Json],
    *,
    named: bool = False,
    done: bool = False,
) -> Response:
    """Server-sent events, with their types as names if `named`, and with [DONE] after them if `done`. An error that
    comes on the way is an event of its own."""

    async def lines() -> AsyncIterator[str]:
        start, status = time.monotonic(), 499
        try:
            async for chunk in chunks:
                yield _line(chunk, named)
            if done:
                yield "data: [DONE]\n\n"
            status = 200
        except ServeError as error:
            status = error.status
            yield _line({"type": "error", **error.body()} if named else error.body(), named)
        finally:
            _count(service, request, status, start)

    return _EventStream(replies, lines())


class _EventStream(StreamingResponse):
    """Aborts the replies when the response ends, also if the client has gone before its first line."""

    def __init__(self, replies: Replies, lines: AsyncIterator[str]) -> None:
        super().__init__(lines, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self.replies = replies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self.replies:
            await super().__call__(scope, receive, send)


def _line(chunk: Json, named: bool) -> str:
    name = f"event: {chunk['type']}\n" if named else ""
    return f"{name}data: {json.dumps(chunk, ensure_ascii=False)}\n\n"


def _count(service: Service, request: Request, status: int, start: float) -> None:
    endpoint = request.url.path
    service.metrics.requests.labels(endpoint, str(status)).inc()
    service.metrics.latency.labels(endpoint).observe(time.monotonic() - start)
