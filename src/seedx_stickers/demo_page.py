"""The demo as one self-contained HTML page."""

from __future__ import annotations

import html
import platform
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from seedx.atomic import replacing_file
from seedx.html import facts, figures, filled
from seedx_stickers.demo import Result, Turn

SECTIONS = {
    "read": ("It reads", "Any size, any ratio: a picture larger than one tile is cut into tiles."),
    "point": ("It points", "Boxes are tokens of its vocabulary."),
    "draw": ("It draws", "From a description, or from a wish."),
    "edit": ("It edits", "One thing changes; the given picture is the condition, so the rest is kept."),
    "combine": ("It combines", "Two pictures in, one out."),
    "redraw": ("It reconstructs", "A picture decoded from its features alone, and with the original as the condition."),
    "talk": ("It talks", "Several turns: pictures that were read or drawn are kept for the turns that follow."),
    "story": ("It tells stories", "Sentences and pictures in turn; the hero keeps its looks."),
    "slide": ("It makes slides", "A slide with its picture, for PowerPoint or as an image."),
}


def write(folder: Path, results: Sequence[Result], model: str, examples: Path, loading: float) -> Path:
    """Write index.html and return its path."""
    seconds = sum(each.seconds for each in results)
    summary = {
        "steps": str(len(results)),
        "seconds in total": f"{seconds:.1f}",
        "seconds to load": f"{loading:.1f}",
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "index.html"
    text = filled(
        resources.files("seedx_stickers") / "assets" / "demo.html",
        model=html.escape(model),
        examples=html.escape(str(examples)),
        facts=facts(summary),
        sections="\n".join(_section(kind, [each for each in results if each.step.kind == kind]) for kind in SECTIONS),
    )
    with replacing_file(file) as aside:
        aside.write_text(text, encoding="utf-8")
    return file


def _section(kind: str, results: Sequence[Result]) -> str:
    if not results:
        return ""
    title, about = SECTIONS[kind]
    return f'<h2>{title}</h2>\n<p>{about}</p>\n<div class="cards">\n' + "\n".join(map(_card, results)) + "\n</div>"


def _card(result: Result) -> str:
    pictures = [picture for turn in result.turns for picture, _ in turn.inputs + turn.outputs]
    wide = len(pictures) > 3 or any(picture.width > 3 * picture.height for picture in pictures)
    return f'<div class="card{" wide" if wide else ""}">' + "".join(map(_turn, result.turns)) + "</div>"


def _turn(turn: Turn) -> str:
    words = f'<div class="words">{html.escape(turn.text)}</div>' if turn.text else ""
    return (
        f'<div class="said user">{figures(turn.inputs)}<div class="words">{html.escape(turn.prompt)}</div></div>'
        f'<div class="said model">{words}{figures(turn.outputs)}</div>'
        f'<div class="time">{turn.seconds:.2f} s</div>'
    )
