"""All that was drawn on this page, with the seed and the settings that draw it again."""

from __future__ import annotations

from typing import Any

import gradio as gr

from seedx.serve.ui import show
from seedx.serve.ui.page import Page
from seedx.serve.ui.visits import Drawn

EMPTY = "Nothing has been drawn on this page yet."


class GalleryTab:
    def __init__(self, page: Page, tab: gr.Tab) -> None:
        self.page = page
        self.gallery = gr.Gallery(
            label="Drawn on this page, the newest first",
            show_label=False,
            format="png",
            columns=4,
            object_fit="contain",
            height="auto",
            interactive=False,
            buttons=["download", "fullscreen"],
            elem_id="seedx-gallery",
        )
        self.details = gr.HTML(show.note(EMPTY), elem_id="seedx-details")
        use = gr.Button("Use these settings", interactive=False, elem_id="seedx-use")
        self.index = gr.State(None)
        tab.select(self.fill, None, [self.gallery, self.details, use], show_progress="hidden", api_visibility="private")
        self.gallery.select(
            self.choose, None, [self.details, self.index, use], show_progress="hidden", api_visibility="private"
        )
        use.click(self.use, self.index, page.options.fields, show_progress="hidden", api_visibility="private")

    def fill(self, request: gr.Request) -> tuple[Any, ...]:
        drawn = self.page.visit(request).drawn
        note = show.note("Choose a picture to see its settings." if drawn else EMPTY)
        pictures = gr.Gallery([(each.picture, each.caption) for each in drawn], selected_index=None)
        return pictures, note, gr.update(interactive=False)

    def choose(self, request: gr.Request, chosen: gr.SelectData) -> tuple[Any, ...]:
        drawn = self.page.visit(request).drawn
        if not 0 <= chosen.index < len(drawn):
            return gr.skip(), None, gr.update(interactive=False)
        return details(drawn[chosen.index]), drawn[chosen.index].settings, gr.update(interactive=True)

    def use(self, settings: dict[str, object] | None) -> list[object]:
        return (
            [gr.skip() for _ in self.page.options.fields] if settings is None else self.page.options.restored(settings)
        )


def details(drawn: Drawn) -> str:
    values = {"prompt": drawn.prompt, "pixels": f"{drawn.picture.width} x {drawn.picture.height}", **drawn.settings}
    if drawn.number:
        values["picture"] = f"{drawn.number} of its reply"
    rows = "".join(f"<dt>{show.text(name)}</dt><dd>{show.text(str(value))}</dd>" for name, value in values.items())
    return f'<dl class="seedx-details">{rows}</dl>'
