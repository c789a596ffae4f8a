"""The golden cases of tiling (`f`), of conversations as ids, labels and masks (`g`), and of the tokenizer (`i`).

Each check returns (name, worst absolute error). Ids, labels, masks and hashes are right or wrong: their error is the
number of differences.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import PIL.Image
import torch
from safetensors.torch import load_file
from torch import Tensor

from seedx import tiling, tokenizer
from seedx.collate import IGNORE, collate
from seedx.config import SEED_X_17B, TilingConfig
from seedx.images import open_image
from seedx.messages import images
from seedx.prompt import Encoded
from seedx.verify.encoding_rows import CAPTION, Row, World, config, conversation, find_fault

Results = list[tuple[str, float]]

Channels = tuple[float, float, float]

_HALF = (0.5, 0.5, 0.5)
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# The release's transforms: mean and deviation, resizing, and how it keeps the ratio when it does.
_TRANSFORMS: dict[str, tuple[Channels, Channels, PIL.Image.Resampling, tiling.Ratio]] = {
    "clip": (tiling.CLIP_MEAN, tiling.CLIP_STD, tiling.BILINEAR, "crop"),
    "clipa": (*_IMAGENET, tiling.BILINEAR, "crop"),
    "clipb": (tiling.CLIP_MEAN, tiling.CLIP_STD, tiling.BILINEAR, "pad"),
    "sd": (_HALF, _HALF, tiling.BICUBIC, "crop"),
}


def grids(folder: Path, name: str) -> Results:
    """Case f_any_res: what the three rules choose for every size and list of grids, and the positions of the tiles."""
    case = _read(folder, name)
    tile = case["base_resolution"]
    rules = (tiling.pinpoints, tiling.least_waste, tiling.nearest_ratio)
    results: Results = []
    for key, texts in case["grids"].items():
        choices = [tiling.parse_grid(text) for text in texts]
        ours = [[side for rule in rules for side in rule(tuple(row["size"]), tile, choices)] for row in case["rows"]]
        results.append((f"grids/{key}", _worst(torch.tensor(ours), torch.tensor([row[key] for row in case["rows"]]))))
    for grid, positions in case["patch_positions"].items():
        ours_at = tiling.tile_positions(tiling.parse_grid(grid))
        results.append((f"positions/{grid}", _worst(ours_at, torch.tensor(positions))))
    return results


def pixels(folder: Path, name: str) -> Results:
    """Case f_any_res_pixels: tiles to the last bit, and the release's transforms."""
    case, tensors = _read(folder, name), load_file(folder / f"{name}.safetensors")
    results: Results = []
    for key, expected in case["outputs"].items():
        settings = TilingConfig(tile=expected["shape"][-1], grids=tuple(case["grids"]))
        tiles = tiling.tile_image(open_image(folder / "images" / expected["image"]), settings)
        digest = hashlib.sha256(_to_bytes(tiles.pixels).numpy().tobytes()).hexdigest()
        results.append((f"{key}/sha256", float(digest != expected["sha256_uint8"])))
        views = {
            "patches": tiles.pixels,
            "patches_uint8": _to_bytes(tiles.pixels),
            "patches_every_16th": tiles.pixels[:, :, ::16, ::16],
            "patch_positions": tiles.positions,
        }
        kept = {view: tensor for view, tensor in views.items() if f"out/{key}/{view}" in tensors}
        results += [(f"{key}/{view}", _worst(ours, tensors[f"out/{key}/{view}"])) for view, ours in kept.items()]
    transforms = {key: value for key, value in tensors.items() if key.startswith("out/transform/")}
    return results + [(key[4:], _transform_error(folder, key, value)) for key, value in transforms.items()]


def _transform_error(folder: Path, key: str, expected: Tensor) -> float:
    """`key` ends in TYPE_keepK_IMAGE."""
    kind, keep, stem = key.split("/")[-1].split("_", 2)
    mean, std, resample, kept = _TRANSFORMS[kind]
    image = open_image(folder / "images" / f"{stem}.png")
    squared = tiling.square(image, expected.shape[-1], kept if keep == "keep1" else "stretch", resample)
    return _worst(tiling.to_tensor(squared, mean, std), expected)


def conversations(folder: Path, name: str) -> Results:
    """Case g: every call of the release's data functions; its faults are checked for what we do instead."""
    case = _read(folder, name)
    world = World(tokenizer.load(folder / case["tokenizer"]), folder / case["images"])
    results: Results = []
    for row in case["rows"]:
        key = f"{row['function']}/{row['name']}"
        if "collate" in row["function"]:
            results.append((key, _batch_error(row, case, world)))
        elif fault := find_fault(row, world.tokenizer):
            results.append((f"{key} (fault: {fault.ours})", float(not fault.mended(row, world))))
        elif row["output"]:
            results.append((key, _row_error(row, world)))
        else:
            results.append((f"{key} (dropped)", float(not _is_dropped(row, world))))
    return results


def _is_dropped(row: Row, world: World) -> bool:
    try:
        return world.encode(row) is None
    except ValueError:
        return True


def _row_error(row: Row, world: World) -> float:
    encoded, expected = world.encode(row), row["output"]
    if encoded is None:
        return 1.0
    return max(_sequence_error(encoded, expected, world), _images_error(encoded, row, world))


def _sequence_error(encoded: Encoded, expected: dict[str, Any], world: World) -> float:
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
    return float(sum(_differences(ours, theirs) for ours, theirs in pairs))


def _images_error(encoded: Encoded, row: Row, world: World) -> float:
    """How many images are read and drawn, where the tiles are, and the sum of all pixels."""
    expected = row["output"]
    read, drawn = (_flags(expected[key]) for key in ("embeds_cmp_mask", "embeds_gen_mask"))
    tiles = 0 if encoded.tiles is None else len(encoded.tiles)
    error = float(abs(sum(read) - tiles) + abs(sum(drawn) - len(encoded.draws)))
    if expected.get("patch_position"):
        theirs = torch.tensor(expected["patch_position"])[torch.tensor(read)]
        ours = encoded.tile_positions if encoded.tile_positions is not None else torch.zeros(0, 2)
        error = max(error, _worst(ours, theirs))
    if "images_sum" in expected:
        error = max(error, abs(_sum_of_pixels(row, world) - expected["images_sum"]))
    return error


def _sum_of_pixels(row: Row, world: World) -> float:
    """Over every tile of every image: the release cuts the target up as well, and uses its thumbnail."""
    settings = config(row).tiling
    pictures = [part.image for part in images(conversation(row, world.pictures))]
    if row["args"]["multi_resolution"]:
        return sum(tiling.tile_image(picture, settings).pixels.double().sum().item() for picture in pictures)
    return sum(tiling.one_tile(picture, settings.tile).double().sum().item() for picture in pictures)


def _batch_error(row: Row, case: dict[str, Any], world: World) -> float:
    """A collated batch. The release pads all but captions to the maximum length; we pad to the longest row, always."""
    rows = _ragged(row, case) if "captions" in row["args"] else _members(row, case)
    encoded = [item for item in map(world.encode, rows) if item is not None]
    batch, expected = collate(encoded, world.tokenizer.specials.pad), row["output"]
    if "captions" in row["args"]:
        flags = [[_bits(bits) for bits in expected[key]] for key in ("ids_cmp_mask", "ids_gen_mask")]
        theirs = [expected["input_ids"], expected["labels"], *flags]
        ours = [batch.input_ids, batch.labels, batch.read_mask, batch.draw_mask]
        return max(_worst(a, torch.tensor(b)) for a, b in zip(ours, theirs, strict=True))
    wanted = {
        "input_ids": [len(rows), max(map(len, encoded))],
        "images": expected["images"],
        "patch_position": expected["patch_position"],
    }
    tensors = {"input_ids": batch.input_ids, "images": batch.tiles, "patch_position": batch.tile_positions}
    shapes = {key: list(tensor.shape) for key, tensor in tensors.items() if tensor is not None}
    return float(_differences(list(shapes.items()), list(wanted.items())))


def _ragged(row: Row, case: dict[str, Any]) -> list[Row]:
    """A batch of captions given by its arguments alone: a row for each."""
    args = row["args"]
    shared = {
        "num_img_in_tokens": case["num_img_tokens"],
        "num_img_out_tokens": case["num_img_tokens"],
        "max_length": SEED_X_17B.language.context,
    }
    first = {"img_first_by_draw": args["img_first_ratio"] >= 1}
    return [
        {"function": CAPTION[1], "args": args | shared | {"caption": caption}, "branches": first}
        for caption in args["captions"]
    ]


def _members(row: Row, case: dict[str, Any]) -> list[Row]:
    """`batch_of_NAME_a_b_c` is made of the rows NAME_a, NAME_b and NAME_c."""
    base, *letters = row["name"].removeprefix("batch_of_").split("_")
    by_name = {other["name"]: other for other in case["rows"]}
    return [by_name[f"{base}_{letter}"] for letter in letters]


def llama(folder: Path, name: str) -> Results:
    """Case i: ids and text as transformers 4.30.2's Llama tokenizer gives them."""
    case, ours = _read(folder, name), tokenizer.load(folder / "llama_tokenizer")
    rows = case["rows"]
    ids = [ours.encode(row["text"]) for row in rows]
    with_bos = [[ours.specials.bos, *row] for row in ids]
    specials = [ours.specials.bos, ours.specials.eos, ours.specials.pad]
    return [
        ("vocab_size", float(abs(ours.vocab_size - case["len"]))),
        ("bos_eos_pad", float(_differences(specials, [case[key] for key in ("bos", "eos", "pad")]))),
        ("ids", float(_differences(ids, [row["ids"] for row in rows]))),
        (
            "ids_with_bos",
            float(_differences(with_bos, [row["ids_with_bos"] for row in rows])),
        ),
        ("decoded", float(_differences([ours.decode(row["ids"]) for row in rows], [row["decoded"] for row in rows]))),
    ]


def _read(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def _to_bytes(normalised: Tensor) -> Tensor:
    mean, std = (torch.tensor(values)[:, None, None] for values in (tiling.CLIP_MEAN, tiling.CLIP_STD))
    return ((normalised * std + mean) * 255).round().to(torch.uint8)


def _bits(text: str) -> list[int]:
    return [int(bit) for bit in text]


def _flags(value: bool | list[bool] | None) -> list[bool]:
    return value if isinstance(value, list) else [bool(value)]


def _differences(ours: Sequence[Any], theirs: Sequence[Any]) -> int:
    return abs(len(ours) - len(theirs)) + sum(a != b for a, b in zip(ours, theirs, strict=False))


def _worst(ours: Tensor, theirs: Tensor) -> float:
    if ours.shape != theirs.shape:
        return float("inf")
    return (ours.double() - theirs.double()).abs().max().item() if ours.numel() else 0.0


CASES: dict[str, Callable[[Path, str], Results]] = {
    "f_any_res": grids,
    "f_any_res_pixels": pixels,
    "g": conversations,
    "i": llama,
}
