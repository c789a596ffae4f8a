"""The golden cases of conversations as ids, labels and masks (`g`): the release's data functions, call by call.

Ids, labels and masks are right or wrong: their error is the number of differences.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seedx import tiling, tokenizer
from seedx.batch import IGNORE, Encoded, collate
from seedx.errors import SeedxError
from seedx.messages import images
from seedx.verify.case import ABSENT, Results, find, read_facts, worst
from seedx.verify.encoding_cases import differences
from seedx.verify.encoding_rows import CAPTION, UNLIMITED, Row, World, config, conversation, picture, tile_counts
from seedx.verify.release_bugs import find_bug, is_dropped, was_dropped

Bits = str | Sequence[int]

MOST_BATCHES = 100  # that are tried


def conversations(folder: Path, name: str) -> Results:
    """Every call of the release's data functions. Where the release has a bug, our own behaviour is checked instead."""
    case = read_facts(folder, name)
    world = World(tokenizer.load(find(folder, case["tokenizer"])), find(folder, case["images"]))
    results: Results = []
    for row in case["rows"]:
        key = f"{row['function']}/{row['name']}"
        try:
            how, error = row_check(row, case, world)
        except Exception as problem:  # one broken row must not hide the others
            how, error = f" ({type(problem).__name__}: {problem})", ABSENT
        results.append((key + how, error))
    return results


def row_check(row: Row, case: dict[str, Any], world: World) -> tuple[str, float]:
    """A note on the row for the name of the check (may be empty), and its error."""
    if "collate" in row["function"]:
        return "", batch_error(row, case, world)
    if bug := find_bug(row, world):
        return f" (bug of the release; here {bug.ours})", float(not bug.corrected(row, world))
    if was_dropped(row):
        return " (dropped)", float(not is_dropped(row, world))
    return "", row_error(row, world)


def row_error(row: Row, world: World) -> float:
    encoded = world.encode(row)
    if encoded is None:
        return ABSENT
    return max(sequence_error(encoded, row["output"], world), images_error(encoded, row, world))


def sequence_error(encoded: Encoded, expected: dict[str, Any], world: World) -> float:
    """Differences in ids, labels and masks. The release pads every row to the maximum length."""
    rest = len(expected["input_ids"]) - len(encoded)
    pad = world.tokenizer.specials.pad
    pairs: list[tuple[Sequence[int], Sequence[int]]] = [
        (encoded.input_ids.tolist() + [pad] * rest, expected["input_ids"]),
        (encoded.labels.tolist() + [IGNORE] * rest, expected["labels"]),
        (encoded.read_mask.tolist() + [0] * rest, _bits(expected["ids_cmp_mask"])),
        (encoded.draw_mask.tolist() + [0] * rest, _bits(expected["ids_gen_mask"])),
        ([1] * len(encoded) + [0] * rest, _bits(expected["attention_mask"])),
    ]
    return float(sum(differences(ours, theirs) for ours, theirs in pairs))


def images_error(encoded: Encoded, row: Row, world: World) -> float:
    """Which tiles are read and drawn, how many there are, where they are, and the sum of all pixels."""
    expected = row["output"]
    read, drawn = tile_flags(row, encoded, world)
    theirs = [_flags(expected[key]) for key in ("embeds_cmp_mask", "embeds_gen_mask")]
    error = float(differences(read, theirs[0]) + differences(drawn, theirs[1]))
    if expected.get("images_shape"):
        shape = expected["images_shape"]
        error += len(read) != (shape[0] if len(shape) == 4 else 1)
    if expected.get("patch_position"):
        centres = torch.tensor(expected["patch_position"])[torch.tensor(theirs[0])]
        ours = encoded.tile_positions if encoded.tile_positions is not None else torch.zeros(0, 2)
        error = max(error, worst(ours, centres))
    if "images_sum" in expected:
        error = max(error, abs(_sum_of_pixels(row, world) - expected["images_sum"]))
    return error


def tile_flags(row: Row, encoded: Encoded, world: World) -> tuple[list[bool], list[bool]]:
    """For every tile of every image whether it is read, and whether it is the target of one drawn."""
    read, drawn = [], []
    for i, tiles in enumerate(tile_counts(row, conversation(row, world.pictures))):
        read += [i in encoded.reads] * tiles
        drawn += [False] * (tiles - 1) + [i in encoded.draws]
    return read, drawn


def _sum_of_pixels(row: Row, world: World) -> float:
    """Over every tile of every image: the release cuts the target up as well, and uses its thumbnail."""
    settings = config(row).tiling
    pictures = [picture(part) for part in images(conversation(row, world.pictures))]
    if row["args"]["multi_resolution"]:
        return sum(tiling.tile_image(one, settings).pixels.double().sum().item() for one in pictures)
    return sum(tiling.one_tile(one, settings.tile).double().sum().item() for one in pictures)


def batch_error(row: Row, case: dict[str, Any], world: World) -> float:
    """A collated batch, whole or its shapes alone, of the rows that it is made of."""
    made_of = [captions(row, case)] if "captions" in row["args"] else members(row, case)
    return min(batch_of(row, rows, world) for rows in made_of)


def batch_of(row: Row, rows: Sequence[Row], world: World) -> float:
    """We pad to the longest row, the release at times to the maximum length."""
    pairs = [(member, item) for member in rows if (item := world.encode(member, "truncate")) is not None]
    encoded = [item for _, item in pairs]
    expected = {key: value for key, value in row["output"].items() if value is not None}
    whole = isinstance(expected["input_ids"][0], list)
    width = len(expected["input_ids"][0]) if whole else expected["input_ids"][1]
    batch = collate(encoded, world.tokenizer.specials.pad, length=max(width, *map(len, encoded)))
    flags = [tile_flags(member, item, world) for member, item in pairs]
    read, drawn = ([flag for pair in flags for flag in pair[side]] for side in (0, 1))
    ours: dict[str, Any] = {
        "input_ids": batch.input_ids,
        "labels": batch.labels,
        "ids_cmp_mask": batch.read_mask,
        "ids_gen_mask": batch.draw_mask,
        "attention_mask": torch.arange(batch.labels.shape[1]) < torch.tensor([[len(item)] for item in encoded]),
        "embeds_cmp_mask": torch.tensor(read),
        "embeds_gen_mask": torch.tensor(drawn),
    }
    if whole:
        return max(worst(tensor, _tensor(expected[key])) for key, tensor in ours.items() if key in expected)
    pictures = sum(len(images(conversation(member, world.pictures))) for member, _ in pairs)
    shapes = {key: list(tensor.shape) for key, tensor in ours.items()}
    shapes |= {"images_patch_length": [pictures], "image_size": [pictures, 2], "patch_position": [len(read), 2]}
    if batch.tiles is not None:
        shapes["images"] = [len(read), *batch.tiles.shape[1:]]
    return float(sum(shape != expected[key] for key, shape in shapes.items() if key in expected))


def captions(row: Row, case: dict[str, Any]) -> list[Row]:
    """A batch of captions given by its arguments alone: a row for each. They draw one after the other."""
    tokens = {f"num_img_{way}_tokens": case["num_img_tokens"] for way in ("in", "out")}
    args = {"max_length": UNLIMITED} | tokens | row["args"]
    draws = np.random.RandomState(row["seed"]).uniform(size=len(args["captions"])) < args["img_first_ratio"]
    return [
        {"function": CAPTION[1], "args": args | {"caption": caption}, "branches": {"img_first_by_draw": bool(first)}}
        for caption, first in zip(args["captions"], draws, strict=True)
    ]


def members(row: Row, case: dict[str, Any]) -> Iterator[tuple[Row, ...]]:
    """The rows that a batch may be made of: only their texts are written, and several rows may have the same one.

    Raises:
        SeedxError: there is none of such a text.
    """
    by_text: dict[str, dict[str, Row]] = {text: {} for text in row["output"]["text"]}
    for other in case["rows"]:
        if isinstance(text := other["output"].get("text"), str) and text in by_text:
            by_text[text].setdefault(json.dumps(other["args"]), other)
    unknown = [text for text, rows in by_text.items() if not rows]
    if unknown:
        raise SeedxError(f"no row has the text {unknown[0]!r}, of which the batch is made")
    return itertools.islice(
        itertools.product(*(by_text[text].values() for text in row["output"]["text"])), MOST_BATCHES
    )


def _tensor(rows: Sequence[Any]) -> torch.Tensor:
    return torch.tensor([_bits(bits) if isinstance(bits, (str, list)) else bits for bits in rows])


def _bits(bits: Bits) -> list[int]:
    return [int(bit) for bit in bits]


def _flags(value: bool | list[bool] | None) -> list[bool]:
    return value if isinstance(value, list) else [] if value is None else [value]


CASES: dict[str, Callable[[Path, str], Results]] = {"g": conversations}
