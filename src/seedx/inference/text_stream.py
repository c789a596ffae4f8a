"""Tokens one by one -> pieces of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from seedx.tokens import SpecialTokens


class TextDecoder(Protocol):
    """What generation needs of a tokenizer."""

    specials: SpecialTokens
    vocab_size: int  # ids from here on are no tokens: a model's vocabulary may be padded

    def decode(self, ids: Sequence[int]) -> str: ...


class TextStream:
    """The pieces put together are the text of all tokens. A character of several tokens comes when it is whole."""

    def __init__(self, tokenizer: TextDecoder) -> None:
        self.tokenizer = tokenizer
        self.ids: list[int] = []
        self.before = self.sent = 0  # the last piece is decoded again with the new one: it decides on spaces

    def begin(self, token: int) -> None:
        """Start the text with a token that the prompt ended in."""
        self.ids.append(token)

    def push(self, token: int) -> str:
        self.ids.append(token)
        piece = self._new_piece()
        if piece.endswith("\N{REPLACEMENT CHARACTER}"):
            return ""
        self.before, self.sent = self.sent, len(self.ids)
        return piece

    def flush(self) -> str:
        """The text that is left; the stream is empty then, since what follows an image is a text of its own."""
        piece = self._new_piece()
        self.ids, self.before, self.sent = [], 0, 0
        return piece

    def _new_piece(self) -> str:
        known = self.tokenizer.decode(self.ids[self.before : self.sent])
        return self.tokenizer.decode(self.ids[self.before :])[len(known) :]
