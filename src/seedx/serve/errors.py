"""Errors as OpenAI's clients expect them: `{"error": {"message", "type", "param", "code"}}`, with a status."""

from __future__ import annotations

from seedx.errors import SeedxError


class ServeError(SeedxError):
    """A request that is refused, or that ended without its result.

    Args:
        status: of HTTP.
        code: for programs, such as "queue_full".
        param: the field of the request that is at fault.
        retry_after: seconds after which the request may be sent again.
    """

    def __init__(
        self,
        message: str,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.retry_after = status, code, param, retry_after

    @property
    def type(self) -> str:
        if self.status == 401:
            return "authentication_error"
        if self.status == 429:
            return "rate_limit_error"
        return "server_error" if self.status >= 500 else "invalid_request_error"

    def body(self) -> dict[str, object]:
        return {"error": {"message": str(self), "type": self.type, "param": self.param, "code": self.code}}


def refused(param: str, message: str) -> ServeError:
    """A field of the request that can't be honoured."""
    return ServeError(f"{param}: {message}", 400, "unsupported_value", param)


def queue_full(waiting: int) -> ServeError:
    return ServeError(f"{waiting} requests are waiting already: try again soon", 429, "queue_full", retry_after=2)


def draining() -> ServeError:
    return ServeError("the server is shutting down: send the request again", 503, "shutting_down", retry_after=5)


def replica_lost() -> ServeError:
    return ServeError(
        "the replica that was answering has died, and another one takes its place: send the request again",
        503,
        "replica_lost",
        retry_after=1,
    )


def timed_out(seconds: float) -> ServeError:
    return ServeError(
        f"the request was not finished in {seconds:g} seconds: ask for less, or raise the server's --max-seconds",
        504,
        "timeout",
    )


def failed() -> ServeError:
    """A bug or a lack of memory: what it was is in the server's log, not for clients."""
    return ServeError("the server failed to answer this request: its log says why", 500, "internal_error")
