"""A page of training examples to look at: `python -m seedx_stickers.training.samples --out runs/samples.html`."""

from __future__ import annotations

import html
import random
from importlib import resources
from pathlib import Path

from seedx.draw_boxes import mark_boxes
from seedx.html import figures, filled
from seedx.messages import Box, Image, Message, Text
from seedx_stickers.scenes import Scene, sample
from seedx_stickers.tasks import grammar
from seedx_stickers.tasks.grammar.expand import held_out_parts
from seedx_stickers.varied import LOOKS

SIDE = 144  # pixels of a picture


def main(*, out: Path = Path("runs/samples.html"), n: int = 8, seed: int = 1) -> None:
    """Write the page.

    Args:
        n: examples of each kind.
    """
    sections = [_section(kind, n, seed) for kind in grammar.KINDS]
    sections.append(f"<h2>Looks</h2>{''.join(_look(name, seed) for name in LOOKS)}")
    away = "".join(f"<li><b>{rule}</b> {html.escape(part)}</li>" for rule, part in held_out_parts(grammar.RULES))
    sections.append(f"<h2>Held out</h2><ul>{away}</ul>")
    out.parent.mkdir(parents=True, exist_ok=True)
    page = filled(resources.files("seedx_stickers") / "assets" / "samples.html", sections="\n".join(sections))
    out.write_text(page, encoding="utf-8")
    print(out)


def _section(kind: str, n: int, seed: int) -> str:
    examples = (grammar.training(random.Random(f"{seed}/{kind}/{index}"), kind) for index in range(n))
    cards = "".join(f'<div class="card">{_conversation(each.messages)}</div>' for each in examples)
    return f'<h2>{html.escape(kind.replace("_", " "))}</h2><div class="cards">{cards}</div>'


def _conversation(messages: list[Message[Scene]]) -> str:
    lines, last = [], None
    for message in messages:
        pictures = [part.image.render() for part in message.content if isinstance(part, Image)]
        last = pictures[-1] if pictures else last
        boxes = [part for part in message.content if isinstance(part, Box)]
        shown = [*pictures, *([mark_boxes(last, boxes)] if boxes and last else [])]
        text = " ".join(part.text for part in message.content if isinstance(part, Text))
        role = "user" if message.role == "user" else "model"
        row = figures([(picture, "") for picture in shown], SIDE)
        lines.append(f'<div class="said {role}">{html.escape(text)}{row}</div>')
    return "".join(lines)


def _look(name: str, seed: int) -> str:
    rng = random.Random(f"{seed}/{name}")
    return figures([(LOOKS[name](rng, sample(rng, count=3)).render(), name) for _ in range(6)], SIDE)


if __name__ == "__main__":
    import tyro

    tyro.cli(main)
