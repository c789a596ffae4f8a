"""What every request passes first: the host it was sent to, its key, its size; and how errors are answered."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
from collections.abc import Mapping, Sequence

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seedx.serve.errors import ServeError, failed

log = logging.getLogger("seedx.serve")
OPEN = ("/health",)  # needs no key
PAGE = "/ui"  # of `--ui`


def answer(error: ServeError) -> JSONResponse:
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(error.body(), error.status, headers)


class Guard:
    """ASGI middleware.

    Args:
        keys: one of them must come with a request, unless there are none.
        max_bytes: of a body.
    """

    def __init__(self, app: ASGIApp, keys: Sequence[str], max_bytes: int) -> None:
        self.app, self.max_bytes = app, max_bytes
        self.keys = [key.encode() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if self.keys and scope["path"] not in OPEN and not self._allowed(scope, headers):
            await self._ask_for_key(scope)(scope, receive, send)
            return
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self.max_bytes:
            await answer(self._too_large())(scope, receive, send)
            return
        await self._bounded(scope, receive, send)

    def _allowed(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the request has one of the keys. All are compared, each in constant time."""
        header = headers.get(b"authorization", b"")
        given = header.removeprefix(b"Bearer ").strip()
        if _of_page(scope) and header.startswith(b"Basic "):
            given = _password(header)
        return any([hmac.compare_digest(given, key) for key in self.keys])

    def _ask_for_key(self, scope: Scope) -> JSONResponse:
        """A browser asks its user for the page's key, as the password of any name."""
        response = answer(ServeError("give a valid key: Authorization: Bearer KEY", 401, "invalid_api_key"))
        if _of_page(scope):
            response.headers["WWW-Authenticate"] = 'Basic realm="seedx: any name, and a key as the password"'
        return response

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count a body that comes in chunks; what is over the limit is not read."""
        read, begun = 0, False

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.max_bytes:
                raise self._too_large()
            return message

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except ServeError as error:
            if begun:
                raise
            await answer(error)(scope, receive, send)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if begun:
                raise
            await answer(failed())(scope, receive, send)

    def _too_large(self) -> ServeError:
        return ServeError(
            f"the request's body has more than {self.max_bytes // 1_000_000} MB: send fewer or smaller pictures",
            413,
            "body_too_large",
        )


def _of_page(scope: Scope) -> bool:
    """Whether it is for the page of `--ui`, which a browser opens. The API does not take a browser's password: pages of
    others could send requests with it."""
    path: str = scope["path"]
    return path == "/" or path == PAGE or path.startswith(f"{PAGE}/")


def _password(header: bytes) -> bytes:
    try:
        return base64.b64decode(header.removeprefix(b"Basic "), validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
