"""A model folder without a language model: the visual tokenizer and the de-tokenizer, which reconstruct pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from seedx.errors import SeedxError
from seedx.tokenizer import Tokenizer

MESSAGE = (
    "this model is a visual tokenizer and a de-tokenizer alone: it can only reconstruct pictures (seedx reconstruct). "
    "To chat, draw, edit or locate, convert a model that has a language model, such as --variant seed_x_i"
)


class NoTokenizer(Tokenizer):
    """Stands where a tokenizer would: whatever asks it for a token raises a SeedxError that says what is missing."""

    def __init__(self) -> None:
        pass

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # of Python's own protocols, such as copying
            raise AttributeError(name)
        raise SeedxError(MESSAGE)

    def decode(self, ids: Sequence[int]) -> str:
        raise SeedxError(MESSAGE)

    def save(self, folder: Path | str) -> None:
        """There is nothing to write."""

    def _encode_text(self, text: str, after: int | None, before: int | None) -> list[int]:
        raise SeedxError(MESSAGE)
