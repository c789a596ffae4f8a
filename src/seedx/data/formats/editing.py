"""A picture, what to change about it, and the changed picture; once or several times. Clothes to try on."""

from __future__ import annotations

import dataclasses
import itertools
import random
from typing import Any, Literal

from seedx.data.formats import phrases
from seedx.data.formats.fields import Fields
from seedx.data.record import Record
from seedx.errors import shorten
from seedx.hints import Ratio
from seedx.messages import Image, Message, assistant, user

_BEFORE = ("source_image", "original_image", "source_img", "input_image", "input")
_AFTER = ("target_image", "edited_image", "target_img", "output_image", "output")
_WORDS = ("instruction", "edit_prompt", "edit", "txt")

_Session = tuple[list[Any], list[str]]  # n + 1 pictures as their fields hold them, n instructions


def edit(
    record: Record,
    rng: random.Random,
    *,
    polite: Ratio = 0.5,
    inverse: Ratio = 0.0,
    turns: Literal["session", "one"] = "session",
) -> list[Message]:
    """Editing pairs and sessions: user(picture, instruction), assistant(changed picture), user(instruction), ...

    pairs: source_image, target_image, instruction (the release and SEED-Data-Edit's parts 1 and 2, by
        https://github.com/AILab-CVC/SEED-X#instruction-tuning); original_image, edit_prompt, edited_image
        (https://huggingface.co/datasets/timbrooks/instructpix2pix-clip-filtered); source_img, instruction, target_img
        (https://huggingface.co/datasets/osunlp/MagicBrush, where the turns of a session are rows of their own).
    sessions: source_image, then instruction_1, edit_image_1, inverse_instruction_1, instruction_2, ...
        (https://huggingface.co/datasets/AILab-CVC/SEED-Data-Edit-Part2-3, multi_turn_editing); or `turns`, a list of
        {"input", "output", "instruction"}, which is one entry of MagicBrush's edit_sessions.json
        (https://github.com/OSU-NLP-Group/MagicBrush); its pictures lie in a folder of the session's number each, which
        is looked in where `img_id` says it: give images = "images".

    Args:
        polite: the share of answers with a sentence before the picture, as in the release.
        inverse: the share of sessions in reverse, by their inverse instructions, where they have some.
        turns: "one" takes one turn of a session at random instead of all.
    """
    fields = Fields(record)
    pictures, instructions = _session(fields, rng.random() < inverse)
    if turns == "one":
        at = rng.randrange(len(instructions))
        pictures, instructions = pictures[at : at + 2], instructions[at : at + 1]
    opened = [fields.open(picture) for picture in pictures]
    messages: list[Message] = []
    for i, instruction in enumerate(instructions):
        messages.append(user(opened[0], instruction) if i == 0 else user(instruction))
        messages.append(_answer(rng, opened[i + 1], polite))
    return messages


def try_on(record: Record, rng: random.Random, *, polite: Ratio = 0.0) -> list[Message]:
    """VITON-HD: a person without the upper garment and a garment -> the person who wears it.

    Folders by https://github.com/shadow2496/VITON-HD and https://github.com/sangyun884/HR-VITON: image, cloth,
    agnostic-v3.2 (the person, garment and arms greyed out), each with a file of the same name. A record is a line of
    train_pairs.txt, "00000_00.jpg 00000_00.jpg" (person and garment; give images = "train"); or it has the pictures as
    fields (in a tar `000001.image.jpg`, `000001.cloth.jpg`, `000001.agnostic-v3.2.jpg`; the Parquet copies on the hub
    have such columns). An `instruction`, if there, replaces the request.
    """
    fields = _paired(Fields(record))
    person, cloth = fields.picture("agnostic-v3.2", "agnostic"), fields.picture("cloth")
    asked = phrases.try_on(rng) if fields.find("instruction") is None else fields.text("instruction")
    return [user(person, cloth, asked), _answer(rng, fields.picture("image"), polite)]


def _paired(fields: Fields) -> Fields:
    """The fields of a line of train_pairs.txt; any others as they are."""
    line = fields.find("txt")
    if not isinstance(line, str) or fields.find("cloth", "cloth.jpg", "cloth.png") is not None:
        return fields
    names = line.split()
    if len(names) != 2:
        raise fields.bad(f"a line of pairs names a person and a garment, not {shorten(line)}")
    person, cloth = names
    if person != cloth:  # of test_pairs.txt
        raise fields.filtered(f"no picture of {person} with the garment {cloth} to train on")
    pictures = {"image": f"image/{person}", "cloth": f"cloth/{cloth}", "agnostic-v3.2": f"agnostic-v3.2/{person}"}
    return Fields(dataclasses.replace(fields.record, fields=pictures))


def _answer(rng: random.Random, picture: Image, polite: float) -> Message:
    return assistant(phrases.here(rng), picture) if rng.random() < polite else assistant(picture)


def _session(fields: Fields, inverse: bool) -> _Session:
    if "turns" in fields.values:
        return _listed(fields)
    if fields.find("instruction_1") is not None:
        return _numbered(fields, inverse)
    return [fields.source(*_BEFORE), fields.source(*_AFTER)], [fields.text(*_WORDS)]


def _numbered(fields: Fields, inverse: bool) -> _Session:
    count = next(i for i in itertools.count(1) if fields.find(f"instruction_{i + 1}") is None)
    pictures = [fields.need("source_image"), *(fields.need(f"edit_image_{i + 1}") for i in range(count))]
    if inverse and fields.find("inverse_instruction_1") is not None:
        return pictures[::-1], [fields.text(f"inverse_instruction_{i}") for i in range(count, 0, -1)]
    return pictures, [fields.text(f"instruction_{i + 1}") for i in range(count)]


def _listed(fields: Fields) -> _Session:
    turns = fields.entries("turns")
    words = [turn.get("instruction") if isinstance(turn, dict) else None for turn in turns]
    instructions = [said.strip() for said in words if isinstance(said, str) and said.strip()]
    if len(instructions) < len(turns):
        raise fields.bad('each of "turns" is {"input", "output", "instruction"}')
    named = [turns[0].get("input"), *(turn.get("output") for turn in turns)]
    folder = fields.find("img_id")
    if isinstance(folder, str):
        named = [f"{folder}/{name}" if isinstance(name, str) and "/" not in name else name for name in named]
    return named, instructions
