"""A visual tokenizer as a base part: the one of our own models, or Qwen-VL's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from seedx.checkpoint import native, weights
from seedx.checkpoint.base.fetch import is_ours
from seedx.checkpoint.download import QWEN_PREFIX, with_prefix
from seedx.checkpoint.release import from_release
from seedx.checkpoint.sizes import near_qwen, vision_sizes
from seedx.config import TilingConfig, VisionConfig
from seedx.damage import read_json_object
from seedx.errors import SeedxError

QWEN_FILES = tuple(f"qwen_vit_G{suffix}" for suffix in (".safetensors", ".pt", ".bin"))


@dataclass(frozen=True)
class VisionPart:
    """
    Attributes:
        tensors: under our names.
        tiling: how pictures are cut into tiles of its size.
    """

    config: VisionConfig
    tensors: Mapping[str, Tensor]
    tiling: TilingConfig


def read(place: Path) -> VisionPart:
    """
    Raises:
        SeedxError: there is no visual tokenizer at this place, or a file is damaged.
    """
    if is_ours(place, "vision"):
        ours = native.read_config(place)
        return VisionPart(ours.vision, native.read_part(place, "vision"), ours.tiling)
    state = visual_only(weights.read(*_files(place)))
    if "conv1.weight" not in state:
        raise SeedxError(
            f"{place} holds no visual tokenizer: expected one of our models, Qwen-VL-Chat's folder or its qwen_vit_G.pt"
        )
    places = [place / "config.json"] if place.is_dir() else near_qwen(place)
    qwen = next((read_json_object(file) for file in places if file.is_file()), {})
    config = vision_sizes(state, qwen)
    tiling = dataclasses.replace(TilingConfig(), tile=config.image_size)
    return VisionPart(config, from_release("visual_encoder", state), tiling)


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    for name in QWEN_FILES:
        if (place / name).is_file():
            return [place / name]
    files = with_prefix(weights.find_module(place), QWEN_PREFIX)
    if not files:
        raise SeedxError(f"{place} holds no visual tokenizer: no vision.safetensors, qwen_vit_G.pt or Qwen-VL's shards")
    return files


def visual_only(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The visual tokenizer's weights, also from the files of the whole of Qwen-VL-Chat."""
    inner = {name.removeprefix(QWEN_PREFIX): t for name, t in state.items() if name.startswith(QWEN_PREFIX)}
    return inner or state
