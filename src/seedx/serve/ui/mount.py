"""The page in the application, and what it must not do there.

gradio serves files, fetches addresses and offers an interface of its own. Of these the page keeps only what it uses:
uploads, which are deleted after an hour, and its own events. Its files are in a folder of their own, which ends with
the server.
"""

from __future__ import annotations

import html
import os
import tempfile
from importlib import resources
from typing import Any

import gradio as gr
from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from gradio import processing_utils
from starlette.types import ASGIApp, Receive, Scope, Send

from seedx.serve.errors import ServeError
from seedx.serve.guard import PAGE, answer
from seedx.serve.service import Service
from seedx.serve.ui.about import About, Example
from seedx.serve.ui.chat_tab import ChatTab
from seedx.serve.ui.edit_tab import EditTab
from seedx.serve.ui.gallery_tab import GalleryTab
from seedx.serve.ui.options import Options
from seedx.serve.ui.page import Page
from seedx.serve.ui.slide_tab import SlideTab
from seedx.serve.ui.story_tab import StoryTab
from seedx.serve.ui.visits import Visits

KEPT = 3600  # seconds that an upload stays
# What of gradio's the page does not use: addresses that are fetched, and calls apart from the page's.
CLOSED = ("proxy=", "file=http", "api/", "call/", "stream/", "process_recording", "deep_link", "runs")
FONT = ("system-ui", "sans-serif")
MONO = ("ui-monospace", "monospace")


def mount(app: FastAPI, service: Service, about: About) -> None:
    """Add the page to the application, at /ui; / leads there."""
    folder = tempfile.TemporaryDirectory(prefix="seedx-page-")  # deleted with the application
    app.state.page_files = folder
    os.environ["GRADIO_TEMP_DIR"] = folder.name
    processing_utils.async_ssrf_protected_download = _no_addresses
    visits = Visits()
    blocks = build(service, about, visits)
    blocks.queue(default_concurrency_limit=None, max_size=service.limits.max_queue, api_open=False)

    @app.get("/", include_in_schema=False)
    async def start() -> RedirectResponse:
        return RedirectResponse(f"{PAGE}/")

    gr.mount_gradio_app(
        app,
        blocks,
        PAGE,
        footer_links=[],
        run_history=False,
        show_error=True,
        max_file_size=service.limits.max_body_mb * 1_000_000,
        ssr_mode=False,
        theme=gr.themes.Soft(font=FONT, font_mono=MONO, primary_hue="blue", neutral_hue="slate"),
        head=_head(),
    )
    app.add_middleware(Door)
    app.state.page = blocks


def build(service: Service, about: About, visits: Visits) -> gr.Blocks:
    variant = service.engine.variant
    with gr.Blocks(
        title=f"seedx · {service.name}", analytics_enabled=False, delete_cache=(KEPT, KEPT), fill_width=True
    ) as blocks:
        gr.HTML(f"<h1>{html.escape(service.name)}</h1>", elem_id="seedx-head", padding=False)
        if about.about:
            gr.Markdown(about.about, elem_id="seedx-about")
        buttons = _examples(about)
        with gr.Accordion("Settings", open=False, render=False) as settings:  # shown below the tabs
            options = Options(service)
        with gr.Tabs(selected="chat") as tabs:
            page = Page(service, about, visits, options, tabs)
            with gr.Tab("Conversation", id="chat"):
                chat = ChatTab(page)
            made: dict[str, Any] = {}
            if variant.edits:
                with gr.Tab("Edit", id="edit"):
                    made["edit"] = EditTab(page)
            if variant.window is None:  # else a story is told in rounds, which the server does not do
                with gr.Tab("Story", id="story"):
                    made["story"] = StoryTab(page)
            with gr.Tab("Slide", id="slide"):
                made["slide"] = SlideTab(page)
            with gr.Tab("Gallery", id="gallery") as tab:
                GalleryTab(page, tab)
        settings.render()
        for button, example in buttons:
            made.get(example.ability, chat).offer(button, example)

        def leave(request: gr.Request) -> None:
            visits.leave(request.session_hash)

        blocks.unload(leave)
    return blocks


def _examples(about: About) -> list[tuple[gr.Button, Example]]:
    """A button for each example."""
    if not about.examples:
        return []
    with gr.Accordion("Examples: one click runs one", open=True), gr.Row(elem_classes="seedx-examples"):
        return [
            (
                gr.Button(
                    f"{example.ability.capitalize()}: {example.text}",
                    size="sm",
                    min_width=0,
                    icon=about.paths(example)[0] if example.pictures else None,
                ),
                example,
            )
            for example in about.examples
        ]


def _head() -> str:
    """The style is not given as gradio's `css`, which would hold within its main element alone."""
    style, script = _asset("serve.css"), _asset("serve.js")
    return f'<link rel="icon" href="data:,"><style>{style}</style><script>{script}</script>'


def _asset(name: str) -> str:
    return (resources.files("seedx") / "assets" / name).read_text(encoding="utf-8")


async def _no_addresses(url: str, cache_dir: str) -> str:
    """In the place of gradio's download: a picture by address is refused on the page."""
    raise ServeError("the page takes pictures as uploads, not by address")


class Door:
    """ASGI middleware: closes those of gradio's endpoints that the page does not use."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        inner = path.removeprefix(PAGE).removeprefix("/").removeprefix("gradio_api/")
        if path.startswith(f"{PAGE}/") and inner.startswith(CLOSED):
            await answer(ServeError("there is nothing here", 404, "not_found"))(scope, receive, send)
            return
        await self.app(scope, receive, send)
