"""The scores as lines for a terminal, beside the floors that the tiny model has to reach."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from seedx.terminal import new_table
from seedx_stickers.evaluation.abilities import EVERY

# The least scores of a tiny model that may be bundled.
FLOORS = {
    "questions.accuracy": 0.95,
    "boxes.acc@iou0.5": 0.92,
    "draw.all_objects": 0.88,
    "draw.place": 0.85,
    "draw.background": 0.97,
    "edit.done": 0.85,
    "edit.psnr_outside": 30.0,
    "reconstruct.objects": 0.90,
    "reconstruct.gain": 6.0,
    "panorama.gain": 0.20,
    "text.accuracy": 0.90,
    "second_edits.done": 0.75,
    "try_on.done": 0.75,
    "story.frames": 0.80,
    "story.hero": 0.85,
    "slides.valid": 0.95,
    "slides.no_overlap": 0.90,
    "judge.accuracy": 0.99,
}

COLUMNS = ("all", "seen", "unseen", "chance", "baseline", "floor")


def rows(scores: dict[str, Any]) -> list[tuple[str, str, list[float | None]]]:
    """Ability, score and a value for each of `COLUMNS`, None where there is none."""
    parts = [scores, *(scores[name] for name in COLUMNS[1:-1])]
    return [
        (
            ability,
            name,
            [*(part.get(ability, {}).get(name) for part in parts), FLOORS.get(f"{ability}.{name}")],
        )
        for ability in EVERY
        for name in scores.get(ability, {})
    ]


def missed(ability: str, name: str, value: float | None) -> bool:
    """Whether a score is under its floor."""
    floor = FLOORS.get(f"{ability}.{name}")
    return floor is not None and value is not None and value < floor


def as_table(scores: dict[str, Any]) -> Table:
    """A row for each score; the first of an ability names its baseline, and one under its floor is red."""
    table = new_table("score", *COLUMNS, "baseline is", words=["baseline is"])
    before = ""
    for ability, name, values in rows(scores):
        baseline = EVERY[ability].baseline if ability != before and scores["baseline"] else None
        cells = [shown(name, value) for value in values]
        style = "red" if missed(ability, name, values[0]) else None
        table.add_row(f"{ability}.{name}", *cells, baseline.name if baseline else "", style=style)
        before = ability
    return table


def shown(name: str, value: float | None) -> str:
    """A share with three digits, decibels with two."""
    if value is None:
        return ""
    return f"{value:.2f}" if name.startswith("psnr") else f"{value:.3f}"
