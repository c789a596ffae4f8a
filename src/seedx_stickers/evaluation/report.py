"""The scores as one self-contained HTML report: the table, and best, worst and random examples of each ability."""

from __future__ import annotations

import contextlib
import html
import random
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from PIL import Image

from seedx.atomic import replacing_file
from seedx.draw_boxes import mark_boxes
from seedx.html import facts, figures, filled
from seedx.inference.reply import Reply
from seedx.messages import Image as Picture
from seedx.messages import Text
from seedx.slides import Slide
from seedx.tokens import strip_boxes
from seedx_stickers.evaluation.abilities import EVERY
from seedx_stickers.evaluation.protocols import REPLY_LABELS
from seedx_stickers.evaluation.run import Record
from seedx_stickers.evaluation.table import COLUMNS, missed, rows, shown

EACH = 3  # examples of a group
SIDE = 192  # pixels of the longer side of small pictures
LONG, MANY = 3, 6  # an example with a greater ratio, or with more pictures, has the whole width
SLIDE = '"slide_width"'  # a key of every slide


class Report:
    """Give `add` to `evaluate_stickers` as `watch`, then `write`."""

    def __init__(self) -> None:
        self._sections: list[str] = []

    def add(self, ability: str, records: list[Record]) -> None:
        """Add the section of an ability."""
        baseline = EVERY[ability].baseline
        about = f"<p>Baseline: {html.escape(baseline.name)}.</p>" if baseline else ""
        sorts = [
            f'<h3>{title}</h3>\n<div class="cards">\n' + "\n".join(_card(ability, each) for each in some) + "\n</div>"
            for title, some in chosen(records).items()
            if some
        ]
        self._sections.append("\n".join([f'<h2 id="{ability}">{_title(ability)}</h2>', about, *sorts]))

    def write(self, path: Path, scores: dict[str, Any], model: str) -> Path:
        """Write the report to a file *.html, or to index.html in a folder. Returns the file."""
        file = path if path.suffix in (".html", ".htm") else path / "index.html"
        file.parent.mkdir(parents=True, exist_ok=True)
        summary = {
            "seed": str(scores["seed"]),
            "scenes of each": str(scores["n"]),
            "shift": scores["shift"] or "none",
            "seconds": f"{sum(scores['seconds'].values()):.0f}",
        }
        text = filled(
            resources.files("seedx_stickers") / "assets" / "eval.html",
            model=html.escape(model),
            facts=facts(summary),
            table=_table(scores),
            sections="\n".join(self._sections),
        )
        with replacing_file(file) as aside:
            aside.write_text(text, encoding="utf-8")
        return file


def chosen(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The best, the worst and random other examples; ranked by the first score, then by the mean of the others."""
    order = sorted(records, key=_rank, reverse=True)
    best, rest = order[:EACH], order[EACH:]
    worst, rest = rest[::-1][:EACH], rest[:-EACH]
    others = random.Random(0).sample(rest, min(EACH, len(rest)))
    return {"Best": best, "Worst": worst, "At random": others}


def _rank(record: Record) -> tuple[float, float]:
    first, *rest = [value for value in record.values.values() if value is not None]
    return first, sum(rest) / len(rest) if rest else 0.0


def _table(scores: dict[str, Any]) -> str:
    lines = ["<tr><th></th><th></th>" + "".join(f"<th>{name}</th>" for name in COLUMNS) + "</tr>"]
    before = ""
    for ability, name, values in rows(scores):
        first = ability != before
        title = f'<a href="#{ability}">{_title(ability)}</a>' if first else ""
        kinds = [("missed" if missed(ability, name, values[0]) else "met"), "", "", "simple", "simple", "simple"]
        cells = (f'<td class="{kind}">{shown(name, value)}</td>' for kind, value in zip(kinds, values, strict=True))
        start = f'<tr{" class=first" if first else ""}><td>{title}</td><td class="what">{_title(name)}</td>'
        lines.append(f"{start}{''.join(cells)}</tr>")
        before = ability
    return "\n".join(lines)


def _title(name: str) -> str:
    return html.escape(name.replace("_", " "))


def _card(ability: str, record: Record) -> str:
    """One example: the prompt, the expected and the actual reply of each turn."""
    item, labels = record.item, REPLY_LABELS.get(EVERY[ability].ask, ())
    parts: list[str] = []
    expected = actual = item.pictures[-1] if item.pictures else None
    for turn, prompt in enumerate(item.turns):
        parts.append(_content("user", "", prompt.content))
        truth = item.truth[turn]
        parts.append(_reply("truth", "expected", truth, expected))
        expected = truth.images[-1] if truth.images else expected
        for label, reply in zip(labels or ("answered",), record.answer[turn:], strict=False):
            parts.append(_reply("model", label, reply, actual))
            actual = reply.images[-1] if reply.images and not labels else actual
    values = " · ".join(f"{_title(k)} {shown(k, value)}" for k, value in record.values.items() if value is not None)
    parts.append(f'<div class="score">{values}{" · unseen" if item.example.unseen else ""}</div>')
    return f'<div class="card{" wide" if _is_wide(record) else ""}">' + "".join(parts) + "</div>"


def _is_wide(record: Record) -> bool:
    """Whether an example has the whole width: for a long picture, or for many."""
    replies = (*record.item.truth, *record.answer)
    every = [*record.item.pictures, *(picture for reply in replies for picture in reply.images)]
    return any(picture.width > LONG * picture.height for picture in every) or len(every) > MANY


def _reply(kind: str, label: str, reply: Reply, picture: Image.Image | None) -> str:
    """A reply, with its boxes drawn on `picture` and its slide rendered."""
    more = [mark_boxes(picture, reply.boxes)] if picture and reply.boxes else []
    if SLIDE in reply.text:
        with contextlib.suppress(ValueError):
            more.append(Slide.parse(reply.content).to_image(2 * SIDE))
    return _content(kind, label, reply.content, figures([(each, "") for each in more], SIDE))


def _content(kind: str, label: str, content: Sequence[object], more: str = "") -> str:
    """Texts and pictures in order; consecutive pictures share a row."""
    parts: list[str] = []
    row: list[tuple[Image.Image, str]] = []
    for part in content:
        if isinstance(part, Picture):
            row.append((part.image, ""))
        elif isinstance(part, Text) and (words := strip_boxes(part.text).strip()):
            parts += [figures(row, SIDE), f"<div>{html.escape(words)}</div>"]
            row = []
    name = f'<div class="label">{label}</div>' if label else ""
    return f'<div class="said {kind}">{name}{"".join(parts)}{figures(row, SIDE)}{more}</div>'
