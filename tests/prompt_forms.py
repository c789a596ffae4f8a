"""The forms of the release's scripts, and their ids by a reference on sentencepiece alone."""

import json
import re

import sentencepiece

from small import SMALL, TOKENIZER

ADDED = json.loads((TOKENIZER / "added_tokens.json").read_text())
SP = sentencepiece.SentencePieceProcessor(model_file=str(TOKENIZER / "tokenizer.model"))
CONTROL = {SP.id_to_piece(i): i for i in (SP.unk_id(), SP.bos_id(), SP.eos_id())}
QUERIES = SMALL.bridge.queries

# {img} is a picture, {q} what the user says.
INST = "[INST] {img}{q} [/INST]\n"
FORMS = {
    ("seed_x", "chat"): "Question: {img}{q}\nAnswer:",
    ("seed_x", "caption"): "{img}",
    ("seed_x", "ground"): "{img}{q} [[ <box_start>",
    ("seed_x", "draw"): "{q}<img>",
    ("seed_x_i", "chat"): INST,
    ("seed_x_i", "ground"): INST,
    ("seed_x_i", "draw"): "[INST] Generate an image: {q} [/INST]\n",
    ("seed_x_edit", "edit"): INST,
    ("tiny", "edit"): INST,
    ("tiny", "ground"): "[INST] {img}find the {q} [/INST]\n",
    ("seed_story", "draw"): "{q}<img>",
}


def reference(text):
    """The ids of a text as transformers 4.30.2 gives them: split at the added tokens, white space beside them lost."""
    names = sorted((*ADDED, *CONTROL), key=len, reverse=True)
    pieces = re.split("(" + "|".join(map(re.escape, names)) + ")", text)
    ids = []
    for i, piece in enumerate(pieces):
        if i % 2:
            ids.append((ADDED | CONTROL)[piece])
            continue
        piece = piece.lstrip() if i and pieces[i - 1] in ADDED else piece
        piece = piece.rstrip() if i + 1 < len(pieces) and pieces[i + 1] in ADDED else piece
        ids += SP.encode(piece) if piece else []
    return ids


def written(tiles):
    """A picture of so many tiles before its thumbnail."""
    inner = "".join(f"<img_{i:05d}>" for i in range(QUERIES))
    return f"<patch>{inner}</patch>" * tiles + f"<img>{inner}</img>"
