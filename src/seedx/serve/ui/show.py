"""Conversations, stories and drawings as HTML. Pictures are within it, so that no file of them is on the disk; every
text is escaped."""

from __future__ import annotations

import html
from collections.abc import Sequence

import PIL.Image

from seedx.draw_boxes import mark_boxes
from seedx.messages import Box
from seedx.serve.pictures import to_data_uri
from seedx.serve.ui.turns import Progress, Slot

LARGEST = 768  # pixels of the longer side as a page shows it


def text(words: str) -> str:
    return html.escape(words.strip()).replace("\n", "<br>")


def picture(image: PIL.Image.Image, alt: str, caption: str = "", kind: str = "") -> str:
    """
    Args:
        alt: what it shows, for those who can't see it.
        kind: a class of page.css: "live" for what is not finished.
    """
    small = image.convert("RGB")
    small.thumbnail((LARGEST, LARGEST))
    uri = to_data_uri(small) if max(small.size) <= LARGEST // 2 else to_data_uri(small, "jpeg", 90)
    below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    shape = f"--ratio:{small.width / small.height:.3f}"
    return (
        f'<figure class="seedx {kind}" style="{shape}"><img src="{uri}" alt="{html.escape(alt, quote=True)}">'
        f"{below}</figure>"
    )


def asked(words: str, pictures: Sequence[PIL.Image.Image]) -> dict[str, str]:
    """A visitor's message in the chat."""
    shown = "".join(picture(each, f"picture {number}", kind="small") for number, each in enumerate(pictures, 1))
    return {"role": "user", "content": f'<div class="seedx-turn">{row(shown)}<div>{text(words)}</div></div>'}


def answered(progress: Progress, prompt: str, before: PIL.Image.Image | None) -> dict[str, str]:
    """The reply in the chat, as far as it is.

    Args:
        before: the last picture of the conversation before it, which its boxes are on.
    """
    parts = [f"<div>{text(part)}</div>" if isinstance(part, str) else slot(part, prompt) for part in progress.parts]
    if progress.reply is not None and progress.reply.boxes:
        drawn = progress.reply.images
        parts += boxes(drawn[-1] if drawn else before, progress.reply.boxes)
    if progress.stopped:
        parts.append('<div class="seedx-note">Stopped.</div>')
    elif progress.reply is None and not progress.slots:
        parts.append('<div class="seedx-note seedx-busy" role="status">…</div>')
    elif progress.reply is not None and progress.reply.reason == "length":
        parts.append('<div class="seedx-note">It ended at the limit of its length.</div>')
    return {"role": "assistant", "content": f'<div class="seedx-turn">{"".join(parts)}</div>'}


def failed(message: str) -> dict[str, str]:
    return {
        "role": "assistant",
        "content": f'<div class="seedx-turn seedx-error" role="alert">{text(message)}</div>',
    }


def slot(each: Slot, alt: str) -> str:
    """A picture of a reply: waiting, a preview, or finished."""
    if each.picture is None:
        return '<div class="seedx-note seedx-busy" role="status">a picture is waiting to be drawn …</div>'
    if each.done:
        return picture(each.picture, f"drawn: {alt}")
    return picture(each.picture, f"being drawn: {alt}", f"drawing … {each.share:.0%}", "live")


def boxes(on: PIL.Image.Image | None, found: Sequence[Box]) -> list[str]:
    """The picture with the boxes on it; the boxes in words where there is none."""
    names = ", ".join(box.label for box in found if box.label)
    if on is None:
        places = "; ".join(f"{box.label} {tuple(round(side, 2) for side in box.box)}" for box in found)
        return [f'<div class="seedx-note">{text(places)}</div>']
    several = "1 box" if len(found) == 1 else f"{len(found)} boxes"
    caption = f"{several}: {names}" if names else several
    return [picture(mark_boxes(on, found), f"the picture with {caption}", caption)]


def row(figures: str) -> str:
    return f'<div class="seedx-row">{figures}</div>' if figures else ""


def strip(frames: Sequence[tuple[str, PIL.Image.Image]], live: Progress | None = None) -> str:
    """A story: pictures with their sentences below them, side by side."""
    cells = [
        f"<li>{picture(image, f'picture {number}: {sentence}')}<p>{text(sentence)}</p></li>"
        for number, (sentence, image) in enumerate(frames, 1)
    ]
    if live is not None:
        cells += _live_cells(live, len(frames))
    return f'<ol class="seedx-strip" tabindex="0" aria-label="story">{"".join(cells)}</ol>'


def _live_cells(live: Progress, before: int) -> list[str]:
    """The frames of a reply that is being written: each picture with the sentence before it."""
    cells, sentence = list[str](), ""
    for part in live.parts:
        if isinstance(part, str):
            sentence += part
        else:
            number = before + len(cells) + 1
            cells.append(f"<li>{slot(part, f'picture {number}: {sentence}')}<p>{text(sentence)}</p></li>")
            sentence = ""
    if sentence.strip():
        cells.append(f"<li><p>{text(sentence)}</p></li>")
    return cells


def note(message: str) -> str:
    return f'<div class="seedx-note" role="status">{text(message)}</div>'
