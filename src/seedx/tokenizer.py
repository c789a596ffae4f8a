"""Text <-> ids, for two kinds of file: the release's SentencePiece model, and `tokenizer.json` (byte-level BPE, ours).

Both split a text at the added tokens first and then encode each piece between them alone. They differ in what they do
with white space beside an added token:

    "a cat <img>"   SentencePiece, as the release was trained   _a _cat <img>      the space is lost
                    tokenizer.json                              a _cat _ <img>     kept: a text comes back exactly

Text can't forge an image or a turn: `encode_parts`, which encodes all messages, takes the tokens of an image and the
marks of the chat template as plain characters. The template itself comes as `Mark`.

Which tokens start, end and pad a sequence is written beside both kinds of file, as transformers does, in
special_tokens_map.json or tokenizer_config.json: a name, or an object with the name as "content".
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers

from seedx.damage import check_file
from seedx.errors import SeedxError, first_line, shorten
from seedx.tokenizer_files import Roles, read_added, read_roles, write_roles
from seedx.tokenizer_text import WORDS, Part, joined_chunks, splitter, with_template
from seedx.tokenizer_text import Mark as Mark
from seedx.tokenizer_text import TemplateMark as TemplateMark
from seedx.tokenizer_text import valid_unicode as valid_unicode
from seedx.tokens import ADDED_TOKENS, PLAN_TOKENS, TEXT_TOKENS, SpecialTokens


class Tokenizer(ABC):
    """
    Attributes:
        specials: ids of the added tokens, of BOS, EOS and padding.
        vocab_size: number of ids, added tokens included.
        roles: names of the tokens "bos", "eos" and "pad".
    """

    specials: SpecialTokens
    vocab_size: int
    roles: dict[str, str]

    def __init__(self, added: Mapping[str, int], specials: SpecialTokens, vocab_size: int) -> None:
        self.specials, self.vocab_size = specials, vocab_size
        self._added = dict(added)
        self._any = splitter(added)
        self._writable = splitter(token for token in TEXT_TOKENS if token in added)

    def encode(self, text: str) -> list[int]:
        """Ids of a text in which every added token, and `<s>` or `</s>`, is read as that token. No BOS, no EOS."""
        return self._encode_chunks(self._split(text, self._any))

    def encode_parts(self, parts: Iterable[Part]) -> list[int]:
        """Ids of one turn: texts, and spans of ready ids between them (images).

        In the texts, box tokens are read as tokens; every other added token is plain characters, and so is a mark of
        the template that is no `Mark`. In a `TemplateMark` every added token is read.
        """
        chunks = joined_chunks(self._with_special_tokens(parts))
        split = (self._split(chunk, self._writable) if isinstance(chunk, str) else [chunk] for chunk in chunks)
        return self._encode_chunks([chunk for run in split for chunk in run])

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, added tokens and BOS and EOS written out."""

    @abstractmethod
    def save(self, folder: Path | str) -> None:
        """Write the files that `load` reads."""

    @abstractmethod
    def _encode_text(self, text: str, after: int | None, before: int | None) -> list[int]:
        """Ids of a piece without added tokens that stands after and before those (None: at the end of the text)."""

    def _with_special_tokens(self, parts: Iterable[Part]) -> Iterator[Part]:
        for part in parts:
            if not isinstance(part, TemplateMark):
                yield part
                continue
            for i, piece in enumerate(self._any.split(part)):
                if i % 2:
                    yield [self._added[piece]]
                elif piece:
                    yield Mark(piece)

    def _split(self, text: str, pattern: re.Pattern[str]) -> list[Part]:
        pieces = pattern.split(valid_unicode(text))  # text, token, text, token, ..., text
        return [[self._added[piece]] if i % 2 else piece for i, piece in enumerate(pieces)]

    def _encode_chunks(self, chunks: Sequence[Part]) -> list[int]:
        ids: list[int] = []
        for i, chunk in enumerate(chunks):
            if isinstance(chunk, str):
                following = chunks[i + 1] if i + 1 < len(chunks) else ""
                before = None if isinstance(following, str) else following[0]
                ids += self._encode_text(chunk, ids[-1] if i else None, before)
            else:
                ids += chunk
        return ids


class SentencePieceTokenizer(Tokenizer):
    """The ids of transformers 4.30.2's slow LlamaTokenizer, on which the release was trained, without that library.

    Later versions give other ids for the same prompts. White space beside an added token is stripped, but not beside
    `<s>`, `</s>` or `<unk>`, and each piece starts with its own word mark: `</img>What` is `</img> _W hat`.
    """

    def __init__(self, model: bytes, added: Mapping[str, int] | None = None, roles: Roles | None = None) -> None:
        """
        Args:
            model: content of the file `tokenizer.model`.
            added: token -> id; by default `ADDED_TOKENS` after the model's own.
            roles: tokens that start, end and pad a sequence; by default those of the model, padded by <unk>.

        Raises:
            SeedxError: sentencepiece is not installed, `model` is no file of it, or a token is missing.
        """
        try:
            import sentencepiece
        except ImportError as error:
            raise SeedxError(
                'a tokenizer.model needs the package sentencepiece: pip install "seedx[release]"'
            ) from error
        try:
            self._sp: Any = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise SeedxError("it is no SentencePiece model; download it again") from error
        size = self._sp.get_piece_size()
        added = dict(added) if added else {token: size + i for i, token in enumerate(ADDED_TOKENS)}
        ids = (self._sp.unk_id(), self._sp.bos_id(), self._sp.eos_id())
        self._control: dict[int, str] = {i: self._sp.id_to_piece(i) for i in ids}
        self._names = {i: token for token, i in added.items()}
        tokens = added | {name: i for i, name in self._control.items()}
        unk, bos, eos = (self._control[i] for i in ids)
        self.roles = {"bos": bos, "eos": eos, "pad": unk} | dict(roles or {})
        super().__init__(tokens, special_tokens(tokens, **self.roles), size + len(added))

    def _encode_text(self, text: str, after: int | None, before: int | None) -> list[int]:
        text = text.lstrip() if after in self._names else text
        text = text.rstrip() if before in self._names else text
        return self._sp.encode(text) if text else []

    def decode(self, ids: Sequence[int]) -> str:
        """Runs of text and added tokens, joined by one space each, as the release writes them."""
        texts: list[str] = []
        run: list[int] = []
        for i in (*ids, None):
            if i is not None and i not in self._names:
                run.append(i)
                continue
            if run:
                texts.append(self._decode_text(run))
                run = []
            if i is not None:
                texts.append(self._names[i])
        return " ".join(texts)

    def _decode_text(self, ids: Sequence[int]) -> str:
        """Control tokens are written out. As in the release, a space precedes what led up to one: `<s> hello</s>`."""
        text, last_was_control = "", False
        run: list[int] = []
        for position, i in enumerate(ids):
            if i in self._control:
                gap = "" if last_was_control or position == 0 else " "
                text += gap + self._sp.decode(run) + self._control[i]
                run, last_was_control = [], True
            else:
                run.append(i)
                last_was_control = False
        return text + str(self._sp.decode(run))

    def save(self, folder: Path | str) -> None:
        (Path(folder) / "tokenizer.model").write_bytes(self._sp.serialized_model_proto())
        names = {token: i for i, token in self._names.items()}
        (Path(folder) / "added_tokens.json").write_text(json.dumps(names, indent=1), encoding="utf-8")
        write_roles(Path(folder), self.roles)


class JsonTokenizer(Tokenizer):
    """A `tokenizer.json` of the library `tokenizers` that lists SEED-X's added tokens, `<s>` and `</s>`."""

    def __init__(self, content: str, roles: Roles | None = None) -> None:
        """
        Args:
            content: the text of the file.
            roles: tokens that start, end and pad a sequence; by default <s>, </s> and <pad>, or </s> without <pad>.

        Raises:
            SeedxError: `content` is not of this kind of file, or a token is missing.
        """
        try:
            parsed = json.loads(content)
            self._full = tokenizers.Tokenizer.from_str(content)
        except Exception as error:  # the library raises nothing more special
            raise SeedxError(f"it is not in the format of tokenizers ({first_line(error)})") from error
        # The splitting at added tokens is done by the base class, by one rule for both kinds of file.
        self._plain = tokenizers.Tokenizer.from_str(json.dumps(parsed | {"added_tokens": []}))
        added = {token["content"]: token["id"] for token in parsed["added_tokens"]}
        self.roles = {"bos": "<s>", "eos": "</s>", "pad": "<pad>" if "<pad>" in added else "</s>"} | dict(roles or {})
        vocabulary = self._full.get_vocab(with_added_tokens=True)
        super().__init__(
            added, special_tokens(vocabulary, **self.roles), self._full.get_vocab_size(with_added_tokens=True)
        )

    def _encode_text(self, text: str, after: int | None, before: int | None) -> list[int]:
        return self._plain.encode(text, add_special_tokens=False).ids if text else []

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self._full.decode(list(ids), skip_special_tokens=False)
        return text

    def save(self, folder: Path | str) -> None:
        self._full.save(str(Path(folder) / "tokenizer.json"))
        write_roles(Path(folder), self.roles)


def load(folder: Path | str) -> Tokenizer:
    """Read a tokenizer folder of either kind: `tokenizer.model` (with `added_tokens.json`), or `tokenizer.json`.

    Raises:
        SeedxError: neither file is there, one is damaged, or an added token is missing; the message names the file.
    """
    folder = Path(folder)
    for name in ("tokenizer.model", "tokenizer.json"):
        file = folder / name
        if file.is_file():
            check_file(file)
            roles = read_roles(folder)
            added = read_added(folder / "added_tokens.json") if name == "tokenizer.model" else None
            try:
                if name == "tokenizer.model":
                    return SentencePieceTokenizer(file.read_bytes(), added, roles)
                return JsonTokenizer(file.read_text(encoding="utf-8"), roles)
            except (SeedxError, UnicodeDecodeError) as error:
                raise SeedxError(f"{file}: {error}") from error
    raise SeedxError(f"no tokenizer in {str(folder)!r}: expected the file tokenizer.model or tokenizer.json")


def special_tokens(vocabulary: Mapping[str, int], *, bos: str, eos: str, pad: str) -> SpecialTokens:
    """The ids of SEED-X's added tokens and of those that start, end and pad a sequence, for every kind of file.

    Args:
        vocabulary: token -> id of at least these tokens.
        bos, eos, pad: their names in this tokenizer.

    Raises:
        SeedxError: a token is missing.
    """
    for name, role in ((bos, "starts"), (eos, "ends"), (pad, "pads")):
        if name not in vocabulary:
            raise SeedxError(f"the tokenizer has no token {shorten(name)}, which {role} a sequence: add it to its file")
    return SpecialTokens.find(vocabulary, bos=vocabulary[bos], eos=vocabulary[eos], pad=vocabulary[pad])


def train_tokenizer(texts: Iterable[str], vocab_size: int, planned: bool = False) -> Tokenizer:
    """Train a byte-level BPE: `<pad>` 0, `<s>` 1, `</s>` 2, the 256 bytes, merges, and the 330 added tokens at the end.

    Args:
        texts: the corpus; what is between the template's marks, without them.
        vocab_size: number of ids, the added tokens included (`LanguageConfig.vocab_size`). A corpus too small for that
            many merges gives fewer: compare `vocab_size` of the result.
        planned: with the tokens of plans, after the others.

    Raises:
        SeedxError: `vocab_size` is less than the bytes, control tokens and added tokens take.
    """
    more = (*ADDED_TOKENS, *PLAN_TOKENS) if planned else ADDED_TOKENS
    fewest = 256 + 3 + len(more)
    if vocab_size < fewest:
        raise SeedxError(f"vocab_size is at least {fewest} (bytes, control and added tokens), not {vocab_size}")
    model: Any = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(WORDS), "isolated"),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    model.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size - len(more),
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    model.train_from_iterator(with_template(texts), trainer)
    model.add_tokens([tokenizers.AddedToken(token, normalized=False) for token in more])
    return JsonTokenizer(model.to_str())
