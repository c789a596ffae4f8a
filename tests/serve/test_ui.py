"""The page's parts that need no browser and no gradio: a model's own words, visits, keys. The page: tests/extras."""

import asyncio
import base64
import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from seedx.errors import SeedxError
from seedx.serve.guard import Guard
from seedx.serve.ui.about import read_about
from seedx.serve.ui.visits import Drawn, Visits
from seedx_stickers.bundled import tiny

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_tiny_model_has_an_example_of_each_ability():
    about = read_about(tiny())
    assert {example.ability for example in about.examples} == {
        "read",
        "point",
        "draw",
        "combine",
        "talk",
        "edit",
        "story",
        "slide",
    }
    assert "nothing else" in about.about


def test_its_pictures_are_those_of_the_examples():
    for picture in (tiny() / "page").iterdir():
        if picture.suffix != ".json":
            assert picture.read_bytes() == (EXAMPLES / picture.name).read_bytes()


def test_a_model_without_a_page(tmp_path):
    assert read_about(tmp_path).examples == () and read_about(tmp_path).about == ""


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("[", "page.json"),
        ("[]", "an object is expected"),
        ({"abuot": "x"}, "did you mean 'about'"),
        ({"about": 3}, "about is a text"),
        ({"examples": [{"ability": "sing", "text": "la"}]}, "an ability"),
        ({"examples": [{"ability": "read"}]}, "page.json"),
        ({"examples": [{"ability": "read", "text": 3}]}, "are texts"),
        ({"examples": [{"ability": "read", "text": "a", "pictures": ["../a.png"]}]}, "no file"),
        ({"examples": [{"ability": "read", "text": "a", "pictures": ["a.png"]}]}, "no file"),
    ],
)
def test_a_malformed_page_says_what_is_wrong(tmp_path, written, message):
    (tmp_path / "page").mkdir()
    text = written if isinstance(written, str) else json.dumps(written)
    (tmp_path / "page" / "page.json").write_text(text)
    (tmp_path / "a.png").touch()
    with pytest.raises(SeedxError, match=message):
        read_about(tmp_path)


def test_a_visit_ends_with_its_page():
    visits, stop = Visits(most=2), asyncio.Event()
    first = visits.of("one")
    first.running.add(stop)
    first.keep(Drawn(None, "a cat", {"seed": 3}, 2))  # type: ignore[arg-type]  # no picture is looked at
    assert visits.of("one") is first and first.drawn[0].caption == "seed 3 · picture 2 · a cat"
    visits.leave("one")
    assert stop.is_set() and visits.of("one") is not first
    visits.leave("never seen")


def test_the_visit_that_was_used_least_is_forgotten():
    visits, stop = Visits(most=2), asyncio.Event()
    old = visits.of("old")
    old.running.add(stop)
    visits.of("kept")
    visits.of("new")
    assert len(visits) == 2 and stop.is_set() and visits.of("old") is not old


def test_a_key_as_a_password_opens_the_page_alone():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    client = TestClient(Guard(app, ["a key"], 1000))

    def status(path, password="a key", header=None):
        basic = "Basic " + base64.b64encode(f"anyone:{password}".encode()).decode()
        return client.get(path, headers={"Authorization": header or basic}).status_code

    assert status("/ui/") == status("/ui/config") == status("/") == 204
    assert status("/ui/", "another") == status("/ui/", header="Basic !") == status("/ui/", header="Basic") == 401
    assert status("/v1/models") == status("/uix") == 401
    assert status("/v1/models", header="Bearer a key") == status("/ui/", header="Bearer a key") == 204
    assert client.get("/ui/").headers["WWW-Authenticate"].startswith("Basic ")
    assert client.get("/v1/models").headers["WWW-Authenticate"] == "Bearer"
