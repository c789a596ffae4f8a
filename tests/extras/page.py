"""The page of `seedx serve --ui` in a server of this process, and a browser to open it."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from seedx.checkpoint.hub import locate
from seedx.inference.pipeline import Pipeline
from seedx.serve import server
from seedx.serve.app import create_app
from seedx.serve.service import Service
from seedx.serve.settings import BATCHING, LIMITS
from seedx.serve.ui.about import read_about
from seedx.serve.ui.mount import mount

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
READY = "#seedx-message textarea"
PATIENCE = 60_000  # milliseconds


@dataclass
class Running:
    url: str
    service: Service
    model: Pipeline


@contextmanager
def served(model: Pipeline) -> Iterator[Running]:
    """Serve the page until the end of the block."""
    service = Service(model.engine, "tiny", LIMITS, BATCHING)
    app = create_app(service)
    mount(app, service, read_about(locate("tiny")))
    opened = server.listen("127.0.0.1", 0)
    running = server.Server(uvicorn.Config(app, log_level="warning"), service.scheduler)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [opened]})
    thread.start()
    while not running.started:
        time.sleep(0.01)
    try:
        yield Running(f"http://127.0.0.1:{opened.getsockname()[1]}", service, model)
    finally:
        running.should_exit = running.force_exit = True
        thread.join(30)


@contextmanager
def browser() -> Iterator[Browser]:
    """Debian's chromium, or another one of this machine.

    Raises:
        RuntimeError: there is none.
    """
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        raise RuntimeError("the tests of the page need a browser: apt-get install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield opened
        opened.close()


def visit(browser: Browser, url: str, **context: object) -> Page:
    """The page in a window of its own, ready to be used. `page.problems` lists what must not be: errors of the page,
    and requests that leave this machine."""
    page = browser.new_context(**context).new_page()
    page.set_default_timeout(PATIENCE)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))

    def seen(request):
        if not request.url.startswith((url, "data:", "blob:")):
            page.problems.append(f"a request to {request.url}")

    page.on("request", seen)
    page.goto(url)
    page.wait_for_selector(READY)
    return page
