"""`seedx serve`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from seedx.errors import MissingPackageError, SeedxError
from seedx.serve.settings import BATCHING, LIMITS, Batching, Limits
from seedx.verbs.options import TINY, Source

LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Address:
    """Where the server listens, and who may ask it."""

    host: str = "127.0.0.1"
    """127.0.0.1: this machine alone; 0.0.0.0: every network of it."""
    port: int = 8000
    keys: Path | None = None
    """File with a key on each line, one of which a request must bring; also by SEEDX_API_KEYS, with commas."""
    cors: tuple[str, ...] = ()
    """Origins of web pages that may ask, such as https://example.org."""
    allow_urls: bool = False
    """Fetch pictures that requests name by http(s), from the open internet alone."""


ADDRESS = Address()


def serve(
    *,
    name: str = "",
    ui: bool = False,
    address: Address = ADDRESS,
    source: Source = TINY,
    limits: Limits = LIMITS,
    batching: Batching = BATCHING,
) -> None:
    """Serve the model to clients of OpenAI's API.

    Args:
        name: the model's name for clients; by default that of its folder.
        ui: serve a web page as well.
    """
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401

        if ui:
            import gradio  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(f"{error.name} is missing: pip install 'seedx[{'ui' if ui else 'serve'}]'") from error
    from seedx.serve import server
    from seedx.serve.app import Access, create_app
    from seedx.serve.fetch import Fetcher
    from seedx.serve.service import Service

    keys = read_keys(address.keys)
    opened = server.listen(address.host, address.port)
    model = source.load(progress=False)
    fetcher = Fetcher() if address.allow_urls else None
    service = Service(model.engine, name or Path(source.model).name, limits, batching, fetcher)
    hosts = (*LOCAL, "[::1]") if address.host in LOCAL else ()
    app = create_app(service, Access(keys, address.cors, hosts))
    if ui:
        from seedx.checkpoint.hub import locate
        from seedx.serve.ui.about import read_about
        from seedx.serve.ui.mount import mount

        mount(app, service, read_about(locate(source.model)))
    host, port = opened.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    print(greeting(url, service.name, source, bool(keys), ui), flush=True)
    server.run(app, service.scheduler, opened)


def read_keys(file: Path | None) -> tuple[str, ...]:
    """The keys of a file and of the environment.

    Raises:
        SeedxError: the file can't be read, or holds none.
    """
    keys = os.environ.get("SEEDX_API_KEYS", "").split(",")
    if file is not None:
        try:
            found = file.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise SeedxError(f"the file of keys {file} can't be read: {error}") from error
        if not found:
            raise SeedxError(f"the file of keys {file} holds none: write one on each line")
        keys += found
    return tuple(key.strip() for key in keys if key.strip())


def greeting(url: str, name: str, source: Source, keys: bool, ui: bool = False) -> str:
    """What is printed at the start."""
    key = ' -H "Authorization: Bearer $KEY"' if keys else ""
    body = '{"messages": [{"role": "user", "content": "draw a cat"}]}'
    page = f"  the page: {url}/ui/{' (any name, and a key as the password)' if keys else ''}\n" if ui else ""
    return (
        f"seedx serves {name} ({source.model} on {source.device}) at {url}/v1\n"
        f"  curl {url}/v1/chat/completions{key} -H 'Content-Type: application/json' -d '{body}'\n"
        f"{page}"
        "Ctrl-C finishes what runs and ends."
    )
