"""The average sample of each data format, for planning before there is any data.

Rough figures from the formats' documentation and the release's tiling: an image that is read takes 2.2 tiles and its
thumbnail, 66 tokens each; one that is drawn takes 66 tokens. `seedx train RECIPE --dry-run` measures the real ones;
give those to `seedx plan`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from seedx.errors import SeedxError


@dataclass(frozen=True)
class SampleStats:
    """
    Attributes:
        tokens: in a row, placeholders included.
        tiles: read, thumbnails included.
        drawn: images.
        supervised: tokens with a label.
    """

    tokens: float
    tiles: float = 0.0
    drawn: float = 0.0
    supervised: float = 0.0

    def __post_init__(self) -> None:
        if self.tokens <= 0 or min(self.tiles, self.drawn, self.supervised) < 0 or self.supervised > self.tokens:
            raise SeedxError(
                f"a sample has tokens, at least as many as supervised ones, and nothing negative; not {self}"
            )


PAIR = SampleStats(170, tiles=1.6, drawn=0.5, supervised=16)  # of captioned pictures half are read, half are drawn
QUESTION = SampleStats(270, tiles=3.2, supervised=40)
FORMATS: dict[str, SampleStats] = {
    **dict.fromkeys(("image_text", "laion_coco", "capsfusion", "unsplash", "coco_captions"), PAIR),
    "journeydb": SampleStats(130, drawn=1.0, supervised=2),
    "grit": SampleStats(270, tiles=3.2, supervised=60),
    "mmc4": SampleStats(1100, tiles=6.4, drawn=1.0, supervised=600),
    "obelics": SampleStats(1100, tiles=6.4, drawn=1.0, supervised=600),
    "llavar": SampleStats(430, tiles=5.0, supervised=80),
    "text": SampleStats(600, supervised=600),
    "messages": SampleStats(500, tiles=3.2, drawn=0.2, supervised=170),
    "llava": SampleStats(500, tiles=3.2, supervised=200),
    **dict.fromkeys(("vqa", "referring", "shikra", "coco_instances"), QUESTION),
    "edit": SampleStats(320, tiles=3.2, drawn=1.0, supervised=4),
    "slides": SampleStats(900, tiles=3.2, drawn=0.5, supervised=500),
    "story": SampleStats(800, tiles=4.0, drawn=4.0, supervised=100),
    "try_on": SampleStats(520, tiles=6.4, drawn=1.0, supervised=4),
}


def average(data: Iterable[Any]) -> SampleStats:
    """The mean over a recipe's `[[data]]` tables, by their weights; a format without figures counts as messages.

    Raises:
        SeedxError: no data.
    """
    weighted = [(FORMATS.get(table.format, FORMATS["messages"]), table.weight) for table in data]
    total = sum(weight for _, weight in weighted)
    if not total > 0:
        raise SeedxError("the recipe names no data to plan with: give it [[data]] tables")
    means = {f.name: sum(getattr(s, f.name) * weight for s, weight in weighted) / total for f in fields(SampleStats)}
    return SampleStats(**means)
