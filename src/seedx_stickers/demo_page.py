"""The demo as one self-contained page."""

from __future__ import annotations

import html
import platform
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from seedx.html import facts, figures, filled
from seedx_stickers.demo import Done, Turn

SECTIONS = {
    "read": ("It reads", "Any size, any ratio: a picture larger than one tile is cut into tiles."),
    "point": ("It points", "Boxes are words of its vocabulary."),
    "draw": ("It draws", "From a description, or from a wish."),
    "edit": ("It edits", "One thing changes; the rest is kept from the picture that it got."),
    "combine": ("It combines", "Two pictures in, one out."),
    "redraw": ("What it sees", "A picture drawn again from its features alone, and with the detail of the original."),
    "talk": ("It talks", "Several turns: what was read or drawn in one is read once and kept for the next."),
    "story": ("It tells", "Sentences and pictures in turn; the hero keeps its looks."),
    "slide": ("It lays out", "A slide with its picture, for PowerPoint or as an image."),
}


def write(folder: Path, done: Sequence[Done], model: str, examples: Path, loading: float) -> Path:
    """Write index.html and return its path."""
    seconds = sum(each.seconds for each in done)
    said = {
        "things done": str(len(done)),
        "seconds in all": f"{seconds:.1f}",
        "seconds to load": f"{loading:.1f}",
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "index.html"
    text = filled(
        resources.files("seedx_stickers") / "assets" / "demo.html",
        model=html.escape(model),
        examples=html.escape(str(examples)),
        facts=facts(said),
        sections="\n".join(_section(kind, [each for each in done if each.step.kind == kind]) for kind in SECTIONS),
    )
    file.write_text(text, encoding="utf-8")
    return file


def _section(kind: str, done: Sequence[Done]) -> str:
    if not done:
        return ""
    title, about = SECTIONS[kind]
    return f'<h2>{title}</h2>\n<p>{about}</p>\n<div class="cards">\n' + "\n".join(map(_card, done)) + "\n</div>"


def _card(done: Done) -> str:
    pictures = [picture for turn in done.turns for picture, _ in turn.shown + turn.made]
    wide = len(pictures) > 3 or any(picture.width > 3 * picture.height for picture in pictures)
    return f'<div class="card{" wide" if wide else ""}">' + "".join(map(_turn, done.turns)) + "</div>"


def _turn(turn: Turn) -> str:
    words = f'<div class="words">{html.escape(turn.text)}</div>' if turn.text else ""
    return (
        f'<div class="said user">{figures(turn.shown)}<div class="words">{html.escape(turn.said)}</div></div>'
        f'<div class="said model">{words}{figures(turn.made)}</div>'
        f'<div class="time">{turn.seconds:.2f} s</div>'
    )
