"""`seedx serve`."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seedx.errors import MissingPackageError, SeedxError
from seedx.serve.settings import BATCHING, LIMITS, Batching, ChatDrawing, Limits
from seedx.verbs.options import TINY, Source

if TYPE_CHECKING:
    from seedx.serve.app import Access

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


@dataclass(frozen=True)
class Replicas:
    """Several processes behind one address, by Ray Serve."""

    replicas: int = 1
    """Models that answer, each with a process, a batch and a cache of its own; a conversation stays with one of them.
    Above 1 needs seedx[ray]; on the cluster that RAY_ADDRESS names, or on this machine."""
    cpus_per_replica: float = 1
    """CPUs of each, which are its threads too."""
    gpus_per_replica: float | None = None
    """GPUs of each; by default 1 with --device cuda, otherwise 0."""


ADDRESS = Address()
REPLICAS = Replicas()


def serve(
    *,
    name: str = "",
    ui: bool = False,
    drawing: ChatDrawing = "auto",
    address: Address = ADDRESS,
    source: Source = TINY,
    limits: Limits = LIMITS,
    batching: Batching = BATCHING,
    replicas: Replicas = REPLICAS,
) -> None:
    """Serve the model to clients of OpenAI's API.

    Args:
        name: the model's name for clients; by default that of its folder.
        ui: serve a web page as well.
        drawing: of a chat whose request does not say. auto: the model decides; forbid: text alone.
    """
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401

        if ui:
            import gradio  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(f"{error.name} is missing: pip install 'seedx[{'ui' if ui else 'serve'}]'") from error
    if replicas.replicas != 1:
        if ui:
            raise SeedxError("the web page is one model's: leave out --ui or --replicas")
        _serve_replicas(name, drawing, address, source, limits, batching, replicas)
        return
    from seedx.serve import server
    from seedx.serve.app import create_app
    from seedx.serve.fetch import Fetcher
    from seedx.serve.service import Service

    keys = read_keys(address.keys)
    opened = server.listen(address.host, address.port)
    model = source.load(progress=False)
    fetcher = Fetcher() if address.allow_urls else None
    service = Service(model.engine, name or Path(source.model).name, limits, batching, fetcher, drawing=drawing)
    app = create_app(service, _access(address, keys))
    if ui:
        from seedx.checkpoint.hub import locate
        from seedx.serve.ui.about import read_about
        from seedx.serve.ui.mount import mount

        mount(app, service, read_about(locate(source.model)))
    print(greeting(_url(opened), service.name, source, bool(keys), ui), flush=True)
    server.run(app, service.scheduler, opened)


def _serve_replicas(
    name: str,
    drawing: ChatDrawing,
    address: Address,
    source: Source,
    limits: Limits,
    batching: Batching,
    replicas: Replicas,
) -> None:
    from seedx.serve import server
    from seedx.serve.front import Front, create_front
    from seedx.serve.on_ray import RayReplicas, Resources
    from seedx.serve.replica import ReplicaOptions

    keys = read_keys(address.keys)
    opened = server.listen(address.host, address.port)
    name = name or Path(source.model).name
    model = os.path.abspath(source.model) if Path(source.model).is_dir() else source.model
    options = ReplicaOptions(model, name, dict(source.options()), limits, batching, address.allow_urls, drawing)
    gpus = replicas.gpus_per_replica
    if gpus is None:
        gpus = 1 if source.device.startswith("cuda") else 0
    running = RayReplicas(options, replicas.replicas, Resources(replicas.cpus_per_replica, gpus))
    try:
        front = Front(running)
        app = create_front(front, _access(address, keys), limits.max_body_mb * 1_000_000)
        print(greeting(_url(opened), f"{replicas.replicas} x {name}", source, bool(keys)), flush=True)
        server.run(app, front, opened)
    finally:
        running.stop()


def _access(address: Address, keys: tuple[str, ...]) -> Access:
    from seedx.serve.app import Access

    return Access(keys, address.cors, (*LOCAL, "[::1]") if address.host in LOCAL else ())


def _url(opened: socket.socket) -> str:
    host, port = opened.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


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
