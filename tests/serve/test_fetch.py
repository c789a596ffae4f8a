"""Pictures by address: what is fetched, and what a client may not reach through the server."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator

import pytest

from seedx.serve import fetch
from seedx.serve.errors import ServeError
from seedx.serve.fetch import Fetcher, is_public

PICTURE = b"\x89PNG and more"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),  # where clouds keep their secrets
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::5db8:d822", True),
    ],
)
def test_addresses_of_the_open_internet(address: str, public: bool) -> None:
    assert is_public(address) is public


class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
        elif self.path == "/large":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * 3000)
        elif self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b"x")
                time.sleep(0.05)
        elif self.path == "/missing":
            self.send_error(404)
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PICTURE)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names and their addresses. 127.0.0.1 stands for a public address here, and for no other reason."""
    known = {
        "pictures.example": ["127.0.0.1"],
        "inside.example": ["10.0.0.5"],
        "both.example": ["127.0.0.1", "10.0.0.5"],
    }
    real = fetch.is_public
    monkeypatch.setattr(fetch, "is_public", lambda address: address == "127.0.0.1" or real(address))
    return known


def fetcher(names: dict[str, list[str]], **options: float) -> Fetcher:
    return Fetcher(resolve=lambda host, _: names[host], **options)  # type: ignore[arg-type]


def test_a_picture_is_fetched_also_by_a_redirect(names: dict[str, list[str]], port: int) -> None:
    assert fetcher(names).fetch(f"http://pictures.example:{port}/cat.png") == PICTURE
    assert fetcher(names).fetch(f"http://pictures.example:{port}/to//cat.png") == PICTURE


@pytest.mark.parametrize(
    "path",
    [
        "http://inside.example/",
        "http://both.example:{port}/",  # one of its addresses is inside
        "http://pictures.example:{port}/to/http://inside.example/",
        "http://pictures.example:{port}/to/file:///etc/passwd",
        "http://pictures.example:{port}/to//to//to//to//to//cat.png",
        "http://pictures.example:{port}/missing",
        "http://name:secret@pictures.example:{port}/",
        "http://pictures.example:99999/",
        "http:///cat.png",
        "ftp://pictures.example/",
    ],
)
def test_what_is_refused(names: dict[str, list[str]], port: int, path: str) -> None:
    with pytest.raises(ServeError) as refused:
        fetcher(names).fetch(path.format(port=port))
    assert refused.value.status == 400
    assert "10.0.0.5" not in str(refused.value)  # nothing of the inside is told


def test_a_name_is_resolved_once_and_connected_to_what_was_checked(names: dict[str, list[str]], port: int) -> None:
    """A name whose second answer is another address (DNS rebinding) changes nothing."""
    answers = iter([["127.0.0.1"], ["10.0.0.5"]])
    once = Fetcher(resolve=lambda *_: next(answers))
    assert once.fetch(f"http://changing.example:{port}/cat.png") == PICTURE
    with pytest.raises(ServeError):
        once.fetch(f"http://changing.example:{port}/cat.png")


def test_bounds_on_bytes_and_seconds(names: dict[str, list[str]], port: int) -> None:
    with pytest.raises(ServeError, match="more than 2,000 bytes"):
        fetcher(names, max_bytes=2000).fetch(f"http://pictures.example:{port}/large")
    with pytest.raises(ServeError):
        fetcher(names, seconds=0.3).fetch(f"http://pictures.example:{port}/slow")
