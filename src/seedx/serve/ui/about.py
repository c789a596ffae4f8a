"""What a model says of itself on the page: the folder `page` in its own folder.

MODEL/page/page.json    {"about": "It knows stickers and nothing else.",
                         "examples": [{"ability": "read", "text": "what is it?", "pictures": ["cat.png"]}]}
MODEL/page/cat.png
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from seedx.config import from_dict
from seedx.errors import SeedxError, shorten

Ability = Literal["read", "point", "draw", "combine", "talk", "edit", "story", "slide"]
FOLDER, FILE = "page", "page.json"


@dataclass(frozen=True)
class Example:
    """A request that the page offers.

    Attributes:
        ability: what it shows. "edit", "story" and "slide" have tabs of their own; the others are conversations.
        text: what is asked.
        pictures: names of files in the folder.
        more: the turns after the first, of a conversation.
    """

    ability: Ability
    text: str
    pictures: tuple[str, ...] = ()
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class About:
    """
    Attributes:
        about: what the model can do and what it can't, for someone who has never seen it; Markdown.
        folder: where the examples' pictures are.
    """

    about: str = ""
    examples: tuple[Example, ...] = ()
    folder: Path = Path()

    def of(self, *abilities: Ability) -> list[Example]:
        return [example for example in self.examples if example.ability in abilities]

    def paths(self, example: Example) -> list[Path]:
        return [self.folder / name for name in example.pictures]


@dataclass(frozen=True)
class _File:
    about: str = ""
    examples: tuple[Example, ...] = ()


def read_about(model: Path) -> About:
    """What is in a model's folder; nothing if it has no folder `page`.

    Raises:
        SeedxError: the file is malformed, or names a picture that is not beside it.
    """
    folder = model / FOLDER
    file = folder / FILE
    if not file.is_file():
        return About()
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise SeedxError(f"an object is expected, not {shorten(values)}")
        read = from_dict(_File, values)
        _check(read, folder)
    except (OSError, ValueError, TypeError) as error:  # SeedxError is a ValueError
        raise SeedxError(f"{file}: {error}") from error
    return About(read.about, read.examples, folder)


def _check(read: _File, folder: Path) -> None:
    """
    Raises:
        SeedxError: a value of the wrong type, or a picture that is not there.
    """
    if not isinstance(read.about, str):
        raise SeedxError(f"about is a text, not {shorten(read.about)}")
    for example in read.examples:
        if not isinstance(example, Example) or example.ability not in get_args(Ability):
            raise SeedxError(f"an example has an ability ({', '.join(get_args(Ability))}), not {shorten(example)}")
        if not all(isinstance(text, str) for text in (example.text, *example.more, *example.pictures)):
            raise SeedxError(f"text, more and pictures of an example are texts, not {shorten(example)}")
        for name in example.pictures:
            if Path(name).name != name or not (folder / name).is_file():
                raise SeedxError(f"the picture {shorten(name)} of an example is no file in {folder}")
