"""Requests of lmms-eval's clients, as they sent them: each is answered as the model in process answers the question.

lmms_eval.jsonl was recorded by a proxy between lmms-eval 0.7.3 and `seedx serve`, with the task of examples/lmms_eval.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Running, opened

from seedx import cli
from seedx.inference.pipeline import Pipeline
from seedx.serve.service import Service

RECORDED = [
    json.loads(line) for line in Path(__file__).with_name("lmms_eval.jsonl").read_text(encoding="utf-8").splitlines()
]


def post(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """The message of the answer."""
    response = httpx.post(
        f"{running.url}/v1/chat/completions", json=body, headers={"Authorization": "Bearer none"}, timeout=60
    )
    assert response.status_code == 200, response.text
    message: dict[str, Any] = response.json()["choices"][0]["message"]
    return message


@pytest.mark.parametrize("each", RECORDED, ids=[each["by"] for each in RECORDED])
def test_a_question_is_answered_as_in_process(running: Running, model: Pipeline, each: dict[str, Any]) -> None:
    body = each["body"]
    parts = {part["type"]: part for part in body["messages"][0]["content"]}
    picture, question = opened(parts["image_url"]["image_url"]["url"]), parts["text"]["text"]
    decoding = {name: body[name] for name in ("temperature", "top_p", "seed") if name in body}
    reply = model.chat(question, [picture], drawing="forbid", max_new_tokens=body["max_tokens"], **decoding)
    message = post(running, body)
    assert message["content"] == reply.text != "" and "images" not in message


def test_the_owner_decides_whether_a_chat_that_does_not_say_is_drawn(
    running: Running, model: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"messages": [{"role": "user", "content": "draw a cat"}], "steps": 1, "max_tokens": 32}
    assert post(running, body)["images"]
    monkeypatch.setattr(running.service, "drawing", "forbid")
    assert post(running, body) == {
        "role": "assistant",
        "content": model.chat("draw a cat", drawing="forbid", max_new_tokens=32).text,
        "refusal": None,
    }
    assert post(running, {**body, "modalities": ["text", "image"]})["images"]


@pytest.mark.parametrize("given", ["auto", "forbid"])
def test_the_verb_says_so_to_the_service(given: str, model: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Service] = []

    class Recorded(Service):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            served.append(self)

    monkeypatch.setattr("seedx.serve.service.Service", Recorded)
    monkeypatch.setattr("seedx.verbs.options.Source.load", lambda *_, **__: model)
    monkeypatch.setattr("seedx.serve.server.run", lambda app, scheduler, opened: opened.close())
    assert cli.main(["serve", "--port", "0", "--drawing", given]) == 0
    assert [service.drawing for service in served] == [given]
