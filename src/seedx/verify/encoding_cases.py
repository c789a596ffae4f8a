"""The golden cases of tiling (`f`) and of the tokenizer (`i`). Ids, text and hashes are right or wrong: their error is
the number of differences.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import PIL.Image
import torch
from torch import Tensor

from seedx import tiling, tokenizer
from seedx.config import TilingConfig
from seedx.errors import SeedxError
from seedx.tiling import Tiles
from seedx.verify.case import Results, find, read_case, read_facts, worst

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
    case = read_facts(folder, name)
    tile = case["base_resolution"]
    rules = (tiling.pinpoints, tiling.least_waste, tiling.nearest_ratio)
    results: Results = []
    for key, texts in case["grids"].items():
        choices = [tiling.parse_grid(text) for text in texts]
        rows = [row for row in case["rows"] if key in row and None not in row[key]]  # the release may find no grid
        ours = [[side for rule in rules for side in rule(tuple(row["size"]), tile, choices)] for row in rows]
        results.append((f"grids/{key}", worst(torch.tensor(ours), torch.tensor([row[key] for row in rows]))))
    for grid, positions in case["patch_positions"].items():
        ours_at = tiling.tile_positions(tiling.parse_grid(grid))
        results.append((f"positions/{grid}", worst(ours_at, torch.tensor(positions))))
    return results


def pixels(folder: Path, name: str) -> Results:
    """Case f_any_res_pixels: tiles to the last bit, and the release's transforms."""
    case = read_case(folder, name)
    results: Results = []
    for key, expected in case.facts["outputs"].items():
        choices = tuple(expected.get("grids") or case.facts["grids"])
        picture = picture_of(find(folder, "images") / expected["image"])
        tiles = tiling.tile_image(picture, TilingConfig(tile=expected["shape"][-1], grids=choices))
        digest = hashlib.sha256(_to_bytes(tiles.pixels).numpy().tobytes()).hexdigest()
        results.append((f"{key}/sha256", float(digest != expected["sha256_uint8"])))
        for view, tensor in case.under(f"out/{key}/").items():
            results.append((f"{key}/{view}", worst(_view(tiles, view), tensor)))
    for key, tensor in case.under("out/transform/").items():
        results.append((f"transform/{key}", _transform_error(find(folder, "images"), key, tensor)))
    return results


def picture_of(file: Path) -> PIL.Image.Image:
    """A picture as the release opens it: in RGB, its transparency and orientation not looked at.

    Raises:
        SeedxError: there is none.
    """
    try:
        picture = PIL.Image.open(file).convert("RGB")
    except OSError as error:
        raise SeedxError(f"{file.name} can't be opened ({error})") from error
    picture.info.clear()
    return picture


def _view(tiles: Tiles, view: str) -> Tensor:
    """`patches`, `patches_uint8`, `patches_every_16th` (or another number) or `patch_positions`."""
    if part := re.fullmatch(r"patches_every_(\d+)(?:st|nd|rd|th)", view):
        return tiles.pixels[:, :, :: int(part[1]), :: int(part[1])]
    return {"patches": tiles.pixels, "patches_uint8": _to_bytes(tiles.pixels), "patch_positions": tiles.positions}[view]


def _transform_error(images: Path, key: str, expected: Tensor) -> float:
    """`key` is TYPE_keepK_IMAGE."""
    kind, keep, stem = key.split("_", 2)
    mean, std, resample, kept = _TRANSFORMS[kind]
    (file,) = images.glob(f"{stem}.*")
    squared = tiling.square(picture_of(file), expected.shape[-1], kept if keep == "keep1" else "stretch", resample)
    return worst(tiling.to_tensor(squared, mean, std), expected)


def _to_bytes(normalised: Tensor) -> Tensor:
    mean, std = (torch.tensor(values)[:, None, None] for values in (tiling.CLIP_MEAN, tiling.CLIP_STD))
    return ((normalised * std + mean) * 255).round().to(torch.uint8)


def llama(folder: Path, name: str) -> Results:
    """Case i: ids and text as transformers 4.30.2's Llama tokenizer gives them."""
    case = read_facts(folder, name)
    ours = tokenizer.load(find(folder, case.get("tokenizer", "llama_tokenizer")))
    specials = {key: getattr(ours.specials, key) for key in ("bos", "eos", "pad")}
    return [
        ("vocab_size", float(abs(ours.vocab_size - case["len"]))),
        ("bos_eos_pad", float(sum(number != case[key] for key, number in specials.items()))),
        *((key, float(differences(*sides))) for key, sides in _of_rows(ours, case["rows"])),
    ]


def _of_rows(
    ours: tokenizer.Tokenizer, rows: list[dict[str, Any]]
) -> Iterator[tuple[str, tuple[list[Any], list[Any]]]]:
    ids = [ours.encode(row["text"]) for row in rows]
    yield "ids", (ids, [row["ids"] for row in rows])
    yield "ids_with_bos", ([[ours.specials.bos, *row] for row in ids], [row["ids_with_bos"] for row in rows])
    yield "decoded", ([ours.decode(row["ids"]) for row in rows], [row["decoded"] for row in rows])


def differences(ours: Sequence[Any], theirs: Sequence[Any]) -> int:
    return abs(len(ours) - len(theirs)) + sum(bool(a != b) for a, b in zip(ours, theirs, strict=False))


CASES: dict[str, Callable[[Path, str], Results]] = {"f": grids, "f_pixels": pixels, "i": llama}
