"""SEED-X's 330 tokens, added to the tokenizer of a language model of either kind of file."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers

from seedx import tokenizer
from seedx.damage import check_file
from seedx.errors import SeedxError
from seedx.tokenizer import JsonTokenizer, SentencePieceTokenizer, Tokenizer
from seedx.tokenizer_files import read_added, read_roles
from seedx.tokens import ADDED_TOKENS


@dataclass(frozen=True)
class Vocabulary:
    """
    Attributes:
        words: the tokenizer with all of SEED-X's tokens.
        old: number of ids that it had; those of new tokens follow.
        special: names of its special tokens, without SEED-X's.
        roles: names of the tokens that start, end and pad a sequence.
    """

    words: Tokenizer
    old: int
    special: Collection[str]
    roles: dict[str, str]


def extend(folder: Path, eos: str | None = None) -> Vocabulary:
    """A tokenizer folder's tokenizer, with the tokens that it lacks.

    Args:
        eos: the token that ends an answer, where it is not the one that the folder names.

    Raises:
        SeedxError: no tokenizer, a damaged one, or one that names no token that starts a sequence.
    """
    roles = read_roles(folder) | ({"eos": eos} if eos else {})
    pieces = folder / "tokenizer.model"
    if pieces.is_file():
        check_file(pieces)
        return _sentencepiece(pieces.read_bytes(), read_added(folder / "added_tokens.json") or {}, roles)
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise SeedxError(f"no tokenizer in {str(folder)!r}: expected the file tokenizer.model or tokenizer.json")
    check_file(file)
    try:
        return _json(file.read_text(encoding="utf-8"), roles)
    except (SeedxError, UnicodeDecodeError) as error:
        raise SeedxError(f"{file}: {error}") from error


def _sentencepiece(model: bytes, added: dict[str, int], roles: dict[str, str]) -> Vocabulary:
    size = len_of_pieces(model)
    old = max([size, *(number + 1 for number in added.values())])
    missing = [token for token in ADDED_TOKENS if token not in added]
    whole = added | {token: old + i for i, token in enumerate(missing)}
    words = SentencePieceTokenizer(model, whole, roles)
    special = {*added, *words.roles.values()} - {*ADDED_TOKENS}
    return Vocabulary(words, old, special, dict(words.roles))


def len_of_pieces(model: bytes) -> int:
    """Number of pieces of a SentencePiece model; the class checks the file."""
    return SentencePieceTokenizer(model).vocab_size - len(ADDED_TOKENS)


def _json(content: str, roles: dict[str, str]) -> Vocabulary:
    try:
        whole: Any = tokenizers.Tokenizer.from_str(content)
    except Exception as error:  # the library raises nothing more special
        raise SeedxError(f"it is not in the format of tokenizers ({error})") from error
    whole.no_truncation()  # settings of a data set, which would cut prompts
    whole.no_padding()
    had = whole.get_vocab(with_added_tokens=True)
    old = max(had.values()) + 1
    missing = [token for token in ADDED_TOKENS if token not in had]
    whole.add_tokens([tokenizers.AddedToken(token, normalized=False) for token in missing])
    if missing and [whole.token_to_id(token) for token in missing] != list(range(old, old + len(missing))):
        raise SeedxError(f"its ids have gaps below {old}, so that new tokens have no rows of their own")
    for role, names in (("bos", "<s>"), ("eos", "</s>")):
        if role not in roles and names not in had:
            raise SeedxError(f"it names no token for {role!r}: write {role}_token into tokenizer_config.json")
    if "pad" not in roles and "<pad>" not in had:
        roles = roles | {"pad": roles.get("eos", "</s>")}
    words = JsonTokenizer(whole.to_str(), roles)
    special = {token["content"] for token in json.loads(content)["added_tokens"]} - {*ADDED_TOKENS}
    return Vocabulary(words, old, special, dict(words.roles))


def unchanged(folder: Path) -> Vocabulary:
    """The tokenizer of one of our own models, which has the tokens."""
    words = tokenizer.load(folder)
    return Vocabulary(words, words.vocab_size, (), {})
