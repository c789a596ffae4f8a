"""What can't be honoured is refused by name, in OpenAI's form; and nothing of it ends the server."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import httpx
import openai
import PIL.Image
import pytest
from serving import Running, asked, png, started, uri

from seedx.inference.pipeline import Pipeline
from seedx.serve.app import Access
from seedx.serve.settings import Limits

CHAT, DRAW, EDIT, RESPONSES = "/v1/chat/completions", "/v1/images/generations", "/v1/images/edits", "/v1/responses"
HELLO = [{"role": "user", "content": "draw a cat"}]


@pytest.fixture(scope="module")
def strict(model: Pipeline) -> Iterator[Running]:
    """A server with small limits, and keys."""
    limits = Limits(max_body_mb=1, max_images=2, max_image_pixels=100_000, max_tokens=300, max_steps=20, max_n=3)
    yield from started(model, limits, access=Access(keys=("one", "two"), hosts=("127.0.0.1",)))


def post(running: Running, path: str, **options: object) -> httpx.Response:
    return httpx.post(running.url + path, headers={"Authorization": "Bearer two"}, timeout=60, **options)  # type: ignore[arg-type]


def refusal(response: httpx.Response, status: int = 400) -> dict[str, str]:
    """The error of a refused request."""
    assert response.status_code == status, response.text
    error: dict[str, str] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (CHAT, {"messages": HELLO, "tools": [{"type": "function"}]}, "tools"),
        (CHAT, {"messages": HELLO, "frequency_penalty": 1.0}, "frequency_penalty"),
        (CHAT, {"messages": HELLO, "logprobs": True}, "logprobs"),
        (CHAT, {"messages": HELLO, "response_format": {"type": "json_object"}}, "response_format"),
        (CHAT, {"messages": HELLO, "store": True}, "store"),
        (CHAT, {"messages": HELLO, "audio": {"voice": "x"}}, "audio"),
        (CHAT, {"messages": HELLO, "temprature": 1}, "temprature"),
        (CHAT, {"messages": HELLO, "temperature": -1}, "temperature"),
        (CHAT, {"messages": HELLO, "temperature": "hot"}, "temperature"),
        (CHAT, {"messages": HELLO, "top_p": 0}, "top_p"),
        (CHAT, {"messages": HELLO, "top_p": 2}, "top_p"),
        (CHAT, {"messages": HELLO, "max_tokens": 0}, "max_tokens"),
        (CHAT, {"messages": HELLO, "max_tokens": 301}, "max_tokens"),
        (CHAT, {"messages": HELLO, "n": 0}, "n"),
        (CHAT, {"messages": HELLO, "n": 4}, "n"),
        (CHAT, {"messages": HELLO, "steps": 21}, "steps"),
        (CHAT, {"messages": HELLO, "steps": 0}, "steps"),
        (CHAT, {"messages": HELLO, "size": "big"}, "size"),
        (CHAT, {"messages": HELLO, "size": "97x96"}, None),
        (CHAT, {"messages": HELLO, "size": "960x960"}, "size"),
        (CHAT, {"messages": HELLO, "guidance": 1e400}, "guidance"),
        (CHAT, {"messages": HELLO, "drawing": "always"}, "drawing"),
        (CHAT, {"messages": HELLO, "adapter": "none"}, None),
        (CHAT, {"messages": HELLO, "stop": ["a", "b", "c", "d", "e"]}, "stop"),
        (CHAT, {"messages": []}, "messages"),
        (CHAT, {}, "messages"),
        (CHAT, {"messages": [{"role": "tool", "content": "4"}]}, "messages.0.role"),
        (CHAT, {"messages": [*HELLO, {"role": "assistant", "content": "a cat"}]}, "messages"),
        (CHAT, {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages.0.content"),
        (DRAW, {"prompt": "a cat", "negative_prompt": "dogs"}, "negative_prompt"),
        (DRAW, {"prompt": "a cat", "response_format": "url"}, "response_format"),
        (DRAW, {"prompt": "a cat", "background": "transparent"}, "background"),
        (DRAW, {"prompt": "a cat", "quality": "hd"}, "quality"),
        (DRAW, {"prompt": "a cat", "partial_images": 4}, "partial_images"),
        (DRAW, {"prompt": "a cat", "drawing": "forbid"}, "drawing"),
        (DRAW, {"prompt": "  "}, "prompt"),
        (DRAW, {"prompt": 3}, "prompt"),
        (RESPONSES, {"input": "hello", "previous_response_id": "resp_1"}, "previous_response_id"),
        (RESPONSES, {"input": "hello", "store": True}, "store"),
        (RESPONSES, {"input": "hello", "background": True}, "background"),
        (RESPONSES, {"input": "hello", "tools": [{"type": "web_search"}]}, "tools.0.type"),
        (RESPONSES, {"input": "hello", "tool_choice": "required"}, "tool_choice"),
        (RESPONSES, {"input": "hello", "conversation": "c"}, "conversation"),
    ],
)  # fmt: skip
def test_a_field_is_refused_by_name(strict: Running, path: str, body: dict[str, object], param: str | None) -> None:
    text = json.dumps(body)
    error = refusal(post(strict, path, content=text))
    assert error["type"] == "invalid_request_error"
    if param is None:
        assert error["message"]
    else:
        assert (error["param"] or "").startswith(param), error
        assert param.split(".")[-1] in error["message"] or param in error["message"]


@pytest.mark.parametrize(
    "extra",
    [
        {"tools": [], "tool_choice": "auto", "frequency_penalty": 0, "presence_penalty": 0.0, "logprobs": False},
        {"n": 1, "store": False, "user": "me", "metadata": {"a": "b"}, "service_tier": "auto", "logit_bias": {}},
        {"response_format": {"type": "text"}, "top_logprobs": None, "seed": None, "stream_options": None},
    ],
)
def test_fields_that_ask_for_nothing_pass(strict: Running, extra: dict[str, object]) -> None:
    response = post(strict, CHAT, json={"messages": HELLO, "max_tokens": 1, "modalities": ["text"], **extra})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://example.org/cat.png", "unsupported_value"),
        ("file:///etc/passwd", "unsupported_value"),
        ("/etc/passwd", "unsupported_value"),
        ("data:image/png;base64,@@@", "invalid_image"),
        ("data:image/png;base64," + base64.b64encode(b"%!PS loop").decode(), "invalid_image"),
        ("data:image/png,raw", "invalid_image"),
        (uri(PIL.Image.new("RGB", (400, 400))), "invalid_image"),
    ],
)
def test_pictures_that_are_refused(strict: Running, url: str, code: str) -> None:
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]
    error = refusal(post(strict, CHAT, json={"messages": messages}))
    assert error["code"] == code and error["param"] == "messages.0.content.0.image_url"


def test_too_many_pictures_and_too_large_bodies(strict: Running) -> None:
    small = PIL.Image.new("RGB", (8, 8))
    error = refusal(post(strict, CHAT, json={"messages": asked("?", small, small, small)}))
    assert error["code"] == "too_many_images"
    assert refusal(post(strict, CHAT, content=b" " * 1_000_001), 413)["code"] == "body_too_large"

    def chunks() -> Iterator[bytes]:  # without a length
        for _ in range(12):
            yield b" " * 100_000

    assert refusal(post(strict, CHAT, content=chunks()), 413)["code"] == "body_too_large"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 100_000])
def test_bodies_that_are_no_request(strict: Running, body: bytes) -> None:
    refusal(post(strict, CHAT, content=body))


def test_edits_name_what_is_wrong_with_the_form(strict: Running) -> None:
    small = png(PIL.Image.new("RGB", (8, 8)))
    fields = {"prompt": "make it night"}
    assert refusal(post(strict, EDIT, data=fields, files={"mask": small}))["param"] == "image"
    assert refusal(post(strict, EDIT, files={"image": small}))["param"] == "prompt"
    assert refusal(post(strict, EDIT, data=fields, files={"image": b"no picture"}))["code"] == "invalid_image"
    assert refusal(post(strict, EDIT, data=fields, files={"image": small, "video": small}))["param"] == "video"
    assert (
        refusal(post(strict, EDIT, data=fields, files={"image": small, "mask": small}))["param"] == "mask"
    )  # no alpha
    large = png(PIL.Image.new("RGBA", (16, 16)))
    assert refusal(post(strict, EDIT, data=fields, files={"image": small, "mask": large}))["param"] == "mask"
    assert refusal(post(strict, EDIT, data={**fields, "n": "two"}, files={"image": small}))["param"] == "n"
    refusal(post(strict, EDIT, json=fields))


def test_a_prompt_longer_than_the_context(strict: Running) -> None:
    error = refusal(post(strict, CHAT, json={"messages": [{"role": "user", "content": "cat " * 20_000}]}))
    assert "context" in error["message"]


def test_keys(strict: Running) -> None:
    with pytest.raises(openai.AuthenticationError):
        strict.client("three").models.list()
    with pytest.raises(openai.AuthenticationError):
        strict.client("on").models.list()
    assert httpx.get(f"{strict.url}/metrics").status_code == 401
    assert httpx.get(f"{strict.url}/v1/models", headers={"Authorization": "one"}).status_code == 200
    for key in ("one", "two"):
        assert strict.client(key).models.list().data[0].id == "tiny"
    assert httpx.get(f"{strict.url}/health").json() == {"status": "ready"}


def test_a_page_can_not_reach_it_by_a_name_of_its_own(strict: Running) -> None:
    """DNS rebinding; and no answer allows another origin."""
    assert httpx.get(f"{strict.url}/health", headers={"Host": "evil.example"}).status_code == 400
    answer = httpx.options(
        f"{strict.url}{CHAT}", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    )
    assert "access-control-allow-origin" not in answer.headers


def test_unknown_paths_and_methods(strict: Running) -> None:
    assert refusal(post(strict, "/v1/completions", json={}), 404)["code"] == "not_found"
    refusal(httpx.get(strict.url + CHAT, headers={"Authorization": "Bearer one"}), 405)
