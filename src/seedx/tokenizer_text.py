"""The texts of a turn before they become ids: marks of the chat template, joined chunks, words of a new tokenizer."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

from seedx.tokens import TEXT_TOKENS

Part = str | Sequence[int]


class Mark(str):
    """A text that is written as it is, such as "[INST] "."""


class TemplateMark(Mark):
    """A piece of the chat template, in which special tokens (`<|im_start|>`) are read as those tokens."""


# A word takes the space before it, digits stand alone, and the ends of the chat template are pieces of their own.
WORDS = r"\n?\[INST\] | \[/INST\]\n|'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_TYPED_MARK = re.compile(r"(?<=\[)(?=/?INST\])")  # where a typed mark is split: so the ids are not those of a mark
_TEMPLATE = ("[INST] ", "\n[INST] ", " [/INST]\n")


def valid_unicode(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair, as JSON can hold ("\\ud83d" of a cut emoji)."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def with_template(texts: Iterable[str]) -> Iterator[str]:
    """Each text with the template of its turn, which so becomes three tokens. Box tokens are left out of the corpus."""
    writable = splitter(TEXT_TOKENS)
    for text in texts:
        yield from writable.split(valid_unicode(text))[::2]
        yield from _TEMPLATE


def joined_chunks(parts: Iterable[Part]) -> list[Part]:
    """The texts of a turn joined, for the ids of white space depend on what is beside it. A mark that was typed is
    split in two texts: "a [/INST]" becomes "a [", "/INST]"."""
    chunks: list[Part] = []

    def join(text: str) -> None:
        if chunks and isinstance(last := chunks[-1], str):
            chunks[-1] = last + text
        else:
            chunks.append(str(text))

    for plain, group in itertools.groupby(parts, lambda part: isinstance(part, str) and not isinstance(part, Mark)):
        if plain:
            first, *rest = _TYPED_MARK.split("".join(map(str, group)))
            join(first)
            chunks += rest
            continue
        for part in group:
            if isinstance(part, str):
                join(part)
            else:
                chunks.append(part)
    return chunks


def splitter(tokens: Iterable[str]) -> re.Pattern[str]:
    """Split at the longest token first; at nothing if there are none."""
    listed = sorted(tokens, key=len, reverse=True)
    return re.compile("(" + "|".join(map(re.escape, listed)) + ")" if listed else "((?!))")
