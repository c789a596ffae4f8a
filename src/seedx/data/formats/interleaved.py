"""Web pages: texts and pictures in the order in which they stand.

A picture is either read or drawn, by the option `draw`:

    texts One, Two, Three; pictures a, b     assistant("One"), system(a), assistant("Two", b, "Three")
                             read, drawn

Pages are kept with the pictures that could be downloaded; a page without any is a sample error.
"""

from __future__ import annotations

import base64
import binascii
import random
from collections.abc import Sequence
from typing import Any

from seedx.data.formats.fields import Fields
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError
from seedx.hints import Ratio
from seedx.messages import Image, Message, Text, assistant, system

_Piece = str | tuple[Image, bool]  # a text, or a picture and whether it is drawn


def mmc4(
    record: Record,
    rng: random.Random,
    *,
    draw: Ratio = 0.5,
    min_match: float = 0.0,
    max_images: int = 8,
) -> list[Message]:
    """Multimodal C4: each picture beside the sentence that it matches best.

    By https://github.com/allenai/mmc4: text_list (sentences), image_info of {image_name, matched_text_index,
    matched_sim, ...}, similarity_matrix. A picture is the file `image_name`, or `image_base64` as in OpenFlamingo's
    shards. One that is read stands before its sentence, one that is drawn after it.

    Args:
        draw: the share of pictures that are drawn.
        min_match: `matched_sim` that a picture needs (OpenFlamingo takes 0.24).
        max_images: pictures after as many are left out.
    """
    fields = Fields(record)
    sentences = [str(sentence).strip() for sentence in fields.entries("text_list")]
    before: dict[int, list[_Piece]] = {}
    after: dict[int, list[_Piece]] = {}
    matched = _matched(fields, len(sentences), min_match)
    if not matched:
        raise fields.filtered(f"no picture matches its sentence by {min_match:g}")
    for info in matched:
        picture = _downloaded(info, fields)
        if picture is None or _count(before) + _count(after) == max_images:
            continue
        drawn = rng.random() < draw
        (after if drawn else before).setdefault(info["matched_text_index"], []).append((picture, drawn))
    pieces = [
        piece
        for i, sentence in enumerate(sentences)
        for piece in (*before.get(i, ()), sentence, *after.get(i, ()))
        if piece
    ]
    urls = any(info.get("raw_url") for info in matched)
    return _document(pieces, " ", fields, "download their raw_url first, with img2dataset" if urls else "")


def obelics(record: Record, rng: random.Random, *, draw: Ratio = 0.5, max_images: int = 8) -> list[Message]:
    """OBELICS: two lists of the same length, of which one has an entry where the other has none.

    By https://huggingface.co/datasets/HuggingFaceM4/OBELICS: images (address or None), texts (paragraphs or None),
    metadata, general_metadata. The addresses are to be replaced by what was downloaded: paths, bytes or {bytes, path}.

    Args:
        draw: the share of pictures that are drawn; one at the start of the page is always read.
        max_images: pictures after as many are left out.
    """
    fields = Fields(record)
    pictures, texts = fields.entries("images"), fields.entries("texts")
    if len(pictures) != len(texts):
        raise fields.bad(f"{len(pictures)} images and {len(texts)} texts are not lists of the same length")
    pieces: list[_Piece] = []
    shown = 0
    for source, text in zip(pictures, texts, strict=True):
        if isinstance(text, str) and text.strip():
            pieces.append(text.strip())
        elif source is not None and shown < max_images and (picture := _opened(source, fields)) is not None:
            pieces.append((picture, bool(pieces) and rng.random() < draw))
            shown += 1
    return _document(pieces, "\n\n", fields)


def _matched(fields: Fields, sentences: int, min_match: float) -> list[dict[str, Any]]:
    found = []
    for info in fields.entries("image_info", optional=True):
        index = info.get("matched_text_index") if isinstance(info, dict) else None
        if not isinstance(index, int) or not 0 <= index < sentences:
            raise fields.bad(f"matched_text_index {index!r} is none of {sentences} sentences")
        match = info.get("matched_sim", 0.0)
        if not isinstance(match, (int, float)):
            raise fields.bad(f"matched_sim is a number, not {match!r}")
        if match >= min_match:
            found.append(info)
    return found


def _downloaded(info: dict[str, Any], fields: Fields) -> Image | None:
    if "image_base64" not in info:
        return _opened(info.get("image_name"), fields)
    try:
        return Image(base64.b64decode(info["image_base64"], validate=True))
    except (binascii.Error, TypeError, ValueError) as error:
        raise fields.bad(f"image_base64: {error}") from error


def _opened(source: Any, fields: Fields) -> Image | None:
    try:
        return fields.open(source)
    except SampleError as error:
        if error.cause != "missing file":
            raise
        return None


def _count(pieces: dict[int, list[_Piece]]) -> int:
    return sum(map(len, pieces.values()))


def _document(pieces: Sequence[_Piece], gap: str, fields: Fields, hint: str = "") -> list[Message]:
    """Adjacent texts and drawn pictures are one message, each picture that is read another."""
    if not any(isinstance(piece, tuple) for piece in pieces):
        raise SampleError(
            "missing file", fields.record.where, "none of the page's pictures is there" + (f": {hint}" if hint else "")
        )
    if not any(isinstance(piece, str) for piece in pieces):
        raise fields.bad("the page has no text")
    messages: list[Message] = []
    said: list[Text | Image] = []
    for piece in pieces:
        if isinstance(piece, str):
            said.append(Text(gap + piece if said and isinstance(said[-1], Text) else piece))
        elif piece[1]:
            said.append(piece[0])
        else:
            messages += [assistant(*said)] if said else []
            messages.append(system(piece[0]))
            said = []
    return messages + ([assistant(*said)] if said else [])
