"""What an average sample of each data format is made of, for planning before there is any data.

Rough figures of ours, from the formats' documentation and the release's tiling: an image that is read takes 2.2 tiles
and its thumbnail, 66 tokens each; one that is drawn 66 tokens. `seedx train RECIPE --dry-run` measures the real ones,
which `seedx plan` takes instead (--tokens, --tiles, --drawn, --learned).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from seedx.errors import SeedxError


@dataclass(frozen=True)
class Sample:
    """
    Attributes:
        tokens: in a row, placeholders included.
        tiles: read, thumbnails included.
        drawn: images drawn.
        learned: tokens with a label.
    """

    tokens: float
    tiles: float = 0.0
    drawn: float = 0.0
    learned: float = 0.0

    def __post_init__(self) -> None:
        if self.tokens <= 0 or min(self.tiles, self.drawn, self.learned) < 0 or self.learned > self.tokens:
            raise SeedxError(f"a sample has tokens, and no more learned ones than tokens, none negative; not {self}")


PAIR = Sample(170, tiles=1.6, drawn=0.5, learned=16)  # of captioned pictures half are read, half are drawn
SPOKEN = Sample(270, tiles=3.2, learned=40)
FORMATS = {
    **dict.fromkeys(("image_text", "laion_coco", "capsfusion", "unsplash"), PAIR),
    "journeydb": Sample(130, drawn=1.0, learned=2),
    "grit": Sample(270, tiles=3.2, learned=60),
    "mmc4": Sample(1100, tiles=6.4, drawn=1.0, learned=600),
    "obelics": Sample(1100, tiles=6.4, drawn=1.0, learned=600),
    "llavar": Sample(430, tiles=5.0, learned=80),
    "text": Sample(600, learned=600),
    "messages": Sample(500, tiles=3.2, drawn=0.2, learned=170),
    "llava": Sample(500, tiles=3.2, learned=200),
    **dict.fromkeys(("vqa", "referring", "shikra"), SPOKEN),
    "edit": Sample(320, tiles=3.2, drawn=1.0, learned=4),
    "slides": Sample(900, tiles=3.2, drawn=0.5, learned=500),
    "story": Sample(800, tiles=4.0, drawn=4.0, learned=100),
    "try_on": Sample(520, tiles=6.4, drawn=1.0, learned=4),
}


def average(data: Iterable[Any]) -> Sample:
    """The mean over a recipe's `[[data]]` tables, by their weights; a format without figures counts as messages.

    Raises:
        SeedxError: no data.
    """
    weighted = [(FORMATS.get(table.format, FORMATS["messages"]), table.weight) for table in data]
    total = sum(weight for _, weight in weighted)
    if not total > 0:
        raise SeedxError("the recipe names no data to plan with: give it [[data]] tables")
    means = {f.name: sum(getattr(s, f.name) * weight for s, weight in weighted) / total for f in fields(Sample)}
    return Sample(**means)
