"""The samples of a check as one HTML page: pictures, the text with its supervised tokens marked, boxes, masks."""

from __future__ import annotations

import html
import itertools
from collections.abc import Sequence
from importlib import resources

import PIL.Image

from seedx.batch import IGNORE
from seedx.data.check import Sample, SourceCheck, chosen
from seedx.draw_boxes import mark_boxes
from seedx.html import facts, figures, filled
from seedx.messages import Box, Image
from seedx.tokenizer import Tokenizer


def page(title: str, checks: Sequence[SourceCheck], tokenizer: Tokenizer) -> str:
    """The whole page; it needs no other file."""
    cards = "".join(_card(number, check, sample, tokenizer) for number, (check, sample) in enumerate(chosen(checks), 1))
    template = resources.files("seedx") / "assets" / "data_check.html"
    rows = "".join(_row(check) for check in checks)
    return filled(template, title=html.escape(title), rows=rows, cards=cards or "<p>No sample could be read.</p>")


def _row(check: SourceCheck) -> str:
    causes = "<br>".join(
        f"<b>{count} {html.escape(cause)}</b> {html.escape(check.errors.examples[cause][-1])}"
        for cause, count in check.errors.counts.items()
    )
    cells = (html.escape(check.name), f"{check.share:.1%}", str(check.read), str(check.errors.used), causes or "none")
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _card(number: int, check: SourceCheck, sample: Sample, tokenizer: Tokenizer) -> str:
    encoded = sample.encoded
    about = {
        "tokens": str(len(encoded)),
        "supervised": str(int((encoded.labels != IGNORE).sum())),
        "images read": str(len(encoded.reads)),
        "images drawn": str(len(encoded.draws)),
    }
    return (
        f'<div class="card wide"><b>{number}. {html.escape(check.name)}</b><small>{html.escape(sample.where)}</small>'
        f'<div class="facts">{facts(about)}</div>{figures(_pictures(sample))}'
        f'<div class="tokens">{_tokens(sample, tokenizer)}</div></div>'
    )


def _pictures(sample: Sample) -> list[tuple[PIL.Image.Image, str]]:
    """Every picture; boxes are drawn on the one before them, or on the first if there is none."""
    pictures: list[PIL.Image.Image] = []
    roles: list[str] = []
    boxes: dict[int, list[Box]] = {}
    for message in sample.messages:
        for part in message.content:
            if isinstance(part, Image):
                pictures.append(part.image)
                roles.append("drawn" if message.role == "assistant" else "read")
            elif isinstance(part, Box):
                boxes.setdefault(max(0, len(pictures) - 1), []).append(part)
    shown = []
    for i, picture in enumerate(pictures):
        marked = mark_boxes(picture, boxes[i]) if i in boxes else picture
        count = f", {len(boxes[i])} {'box' if len(boxes[i]) == 1 else 'boxes'}" if i in boxes else ""
        shown.append((marked, f"image {i + 1}, {roles[i]}{count}"))
    return shown


def _tokens(sample: Sample, tokenizer: Tokenizer) -> str:
    """The tokens as text, in runs of the same label and masks; placeholders as their number."""
    encoded = sample.encoded
    marks = zip(
        (encoded.labels != IGNORE).tolist(), encoded.read_mask.tolist(), encoded.draw_mask.tolist(), strict=True
    )
    runs = itertools.groupby(zip(encoded.input_ids.tolist(), marks, strict=True), key=lambda token: token[1])
    pieces = []
    for (supervised, read, drawn), tokens in runs:
        ids = [token for token, _ in tokens]
        if read or drawn:
            name = "drawn" if drawn else "read"
            pieces.append(f'<span class="{name}">{len(ids)} placeholders, {name}</span>')
        else:
            text = html.escape(tokenizer.decode(ids))
            pieces.append(f'<span class="{"label" if supervised else "context"}">{text}</span>')
    return "".join(pieces)
