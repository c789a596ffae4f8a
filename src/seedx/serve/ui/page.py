"""What the tabs share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import PIL.Image

from seedx.serve.errors import ServeError
from seedx.serve.service import Service
from seedx.serve.ui.about import About
from seedx.serve.ui.options import Chosen, Options
from seedx.serve.ui.visits import Drawn, Visit, Visits


@dataclass
class Page:
    """
    Attributes:
        tabs: to change between them.
    """

    service: Service
    about: About
    visits: Visits
    options: Options
    tabs: gr.Tabs

    def visit(self, request: gr.Request) -> Visit:
        return self.visits.of(request.session_hash)

    async def opened(self, files: Sequence[str | Path]) -> list[PIL.Image.Image]:
        """Pictures that were uploaded, or those of an example, within the limits of a request.

        Raises:
            ServeError: no picture, or one too large or too many.
        """
        pictures = self.service.pictures()

        def read() -> list[PIL.Image.Image]:
            return [pictures.of_bytes(Path(file).read_bytes(), f"picture {n}") for n, file in enumerate(files, 1)]

        return await self.service.in_pool(read)

    def stop_button(self) -> gr.Button:
        """Ends what runs for this page."""
        button = gr.Button("Stop", variant="stop", interactive=False, elem_classes="seedx-stop", min_width=80)

        def stop(request: gr.Request) -> None:
            self.visit(request).stop()

        button.click(stop, queue=False, show_progress="hidden", api_visibility="private")
        return button


def running(is_running: bool) -> dict[str, object]:
    """An update of a stop button."""
    update: dict[str, object] = gr.update(interactive=is_running)
    return update


def keep(visit: Visit, pictures: Sequence[PIL.Image.Image], prompt: str, chosen: Chosen, first: int = 0) -> None:
    """Put a reply's pictures into the gallery.

    Args:
        first: how many pictures the replies before it had, of a story that is told in several.
    """
    several = len(pictures) + first > 1
    for number, picture in enumerate(pictures, first + 1):
        visit.keep(Drawn(picture, prompt, dict(chosen.values), number if several else None))


def message_of(error: Exception) -> str:
    """What a visitor is told."""
    again = f" (in {error.retry_after} seconds)" if isinstance(error, ServeError) and error.retry_after else ""
    return f"{error}{again}"
