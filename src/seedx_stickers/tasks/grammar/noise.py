"""How people type: capitals anywhere or nowhere, marks left out, and errors."""

from __future__ import annotations

import random

NEIGHBOURS = {
    "q": "wa", "w": "qes", "e": "wrd", "r": "etf", "t": "ryg", "y": "tuh", "u": "yij", "i": "uok", "o": "ipl", "p": "ol",
    "a": "qsz", "s": "adwx", "d": "sfec", "f": "dgrv", "g": "fhtb", "h": "gjyn", "j": "hkum", "k": "jli", "l": "ko",
    "z": "asx", "x": "zcs", "c": "xvd", "v": "cbf", "b": "vng", "n": "bmh", "m": "nj",
}  # fmt: skip
ERRORS = 0.1  # the share of texts with an error


def typed(rng: random.Random, text: str, errors: float = ERRORS) -> str:
    """The text as it is typed: with or without capital and final mark, a few in capitals; some with an error."""
    if text.endswith("?") and rng.random() < 0.2:
        text = text[:-1]
    elif text[-1].isalnum() and rng.random() < 0.2:
        text += rng.choice(".....!")
    if rng.random() < errors:
        text = with_error(rng, text)
    style = rng.random()
    if style < 0.4:
        return text[0].upper() + text[1:]
    if style < 0.46:
        return text.upper()
    return text.title() if style < 0.49 else text


def with_error(rng: random.Random, text: str) -> str:
    """One typing error in a word of at least four letters: two letters swapped, one dropped, doubled, or the key beside
    it; the first letter stays."""
    words = [i for i, letter in enumerate(text) if letter.isalpha()]
    inner = [i for i in words if i > 0 and text[i - 1].isalpha() and _length(text, i) >= 4]
    if not inner:
        return text
    at = rng.choice(inner)
    kind = rng.choice(("swap", "drop", "double", "neighbour"))
    if kind == "swap" and at + 1 < len(text) and text[at + 1].isalpha():
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if kind == "double":
        return text[:at] + text[at] + text[at:]
    if kind == "neighbour" and text[at] in NEIGHBOURS:
        return text[:at] + rng.choice(NEIGHBOURS[text[at]]) + text[at + 1 :]
    return text[:at] + text[at + 1 :]


def _length(text: str, at: int) -> int:
    """Of the word around a letter."""
    start, end = at, at
    while start and text[start - 1].isalpha():
        start -= 1
    while end < len(text) and text[end].isalpha():
        end += 1
    return end - start
