"""The native folder: a model as safetensors, its sizes as JSON, its tokenizer.

    config.json               every size, `config.from_dict`
    vision.safetensors        `SeedX.vision`
    language.safetensors      `SeedX.language`; a part too large for one file is stored in shards, see `weights.py`
    language.gguf             the same for llama.cpp, beside it or in its place; see `gguf_file.py`
    bridge.safetensors        the rest of `SeedX`: both resamplers and the tile positions
    vae.safetensors           `Detokenizer.vae`
    detokenizer.safetensors   the rest of `Detokenizer`: resampler and U-Net
    first_stage.safetensors, second_stage.safetensors
                              the de-tokenizer's other stage, if it is kept; `detokenizer.condition` says which is which
    tokenizer.json            or tokenizer.model and added_tokens.json

A folder of the variant "detokenizer" has no language, bridge and tokenizer: it reconstructs pictures.
Names in a file are those of its module, so that each can be read alone. Weights may be stored in half precision. Names
and shapes are checked strictly. A folder is written aside and renamed, so a crash leaves the old one whole.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from seedx import tokenizer
from seedx.atomic import replacing_folder
from seedx.checkpoint import weights
from seedx.checkpoint.config_file import read_config as read_config
from seedx.checkpoint.config_file import write_config as write_config
from seedx.checkpoint.hub import Hub, locate
from seedx.checkpoint.no_language import NoTokenizer
from seedx.checkpoint.parts import Model, build, modules, part_state
from seedx.checkpoint.placement import Dtype, Placement
from seedx.checkpoint.residency import Residency
from seedx.config import Config
from seedx.errors import SeedxError
from seedx.model.detokenizer import Detokenizer
from seedx.variants import variant_of

GGUF = "language.gguf"
_OURS = re.compile(
    r"config\.json|.*\.safetensors(\.index\.json)?|.*\.gguf|tokenizer.*|special_tokens_map\.json|added_tokens\.json"
)


def load(
    name: str | Path,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    hub: Hub | None = None,
    *,
    language: bool = True,
    placement: Placement | None = None,
) -> Model:
    """Load a model for inference. Names and shapes are checked now; a part is read when it is first needed.

    Args:
        name: "tiny" (bundled), a folder, or a hub id "organisation/name".
        dtype: of the weights; None: float32 on the CPU, bfloat16 elsewhere. The autoencoder is always float32: SDXL's
            overflows in half precision.
        hub: how a hub id is fetched.
        language: False: another engine runs the language model, whose module stays without weights (on "meta").
        placement: in place of device and dtype: these and more (see `placement.py`).

    Raises:
        SeedxError: no such model, or weights that do not fit its config.json.
    """
    folder = locate(name, hub)
    config = read_config(folder)
    if placement is None:
        precision = cast("Dtype | None", str(dtype).removeprefix("torch.") if dtype else None)
        placement = Placement(device=str(device), dtype=precision)
    seedx, detokenizer = build(config)
    parts = Residency(folder, placement)
    for part, module in modules(seedx.eval(), detokenizer.eval()).items():
        if part != "language" or language:
            parts.add(part, module)
    whole = variant_of(config).language  # False: the visual tokenizer and the de-tokenizer alone
    words = tokenizer.load(folder) if whole else NoTokenizer()
    model = Model(config, seedx, detokenizer, words, parts=parts)
    if weights.find(folder, other_name(config)):
        model.load_other_stage = functools.partial(load_other_stage, parts, model)
    return model


def is_model(folder: Path) -> bool:
    """Whether a folder is one of this library's, and not a download of the release's files."""
    return (folder / "config.json").is_file() and bool(weights.find(folder, "vision"))


def other_name(config: Config) -> str:
    """The part that holds the stage of the de-tokenizer which is not `detokenizer.safetensors`."""
    return "first_stage" if config.detokenizer.condition else "second_stage"


def other_stage(config: Config) -> Detokenizer:
    """That stage's modules, without memory for their weights."""
    sizes = dataclasses.replace(config.detokenizer, condition=not config.detokenizer.condition)
    return build(dataclasses.replace(config, detokenizer=sizes))[1]


def load_other_stage(parts: Residency, model: Model) -> Detokenizer:
    """The stage of the de-tokenizer that is not `model.detokenizer`, with its autoencoder. It is not read yet.

    Raises:
        SeedxError: the folder does not hold it, or its weights do not fit config.json.
    """
    stage = other_stage(model.config).eval()
    stage.vae = model.detokenizer.vae
    parts.add(other_name(model.config), stage)
    return stage


def save(model: Model, folder: str | Path, dtype: torch.dtype | None = None) -> None:
    """Write a model, in the precision it has unless `dtype` is given. An older model in `folder` is replaced.

    Raises:
        SeedxError: a weight is not finite, or the language model is quantised or a GGUF file.
    """
    if model.placement.quantised:
        raise SeedxError(f'a language model in {model.placement.language} is not saved: load it with memory="full"')
    speaks = variant_of(model.config).language
    if speaks and any(parameter.is_meta for parameter in model.seedx.language.parameters()):
        raise SeedxError(
            "the language model is a GGUF file here: copy the model's folder, or load it for torch to save it"
        )
    for part, module in modules(model.seedx, model.detokenizer).items():
        for name, tensor in part_state(part, module).items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise SeedxError(f"{part}: {name} has values that are not finite: the model is not written")
    with replacing(folder) as aside:
        write_config(model.config, aside)
        model.tokenizer.save(aside)
        for part, module in modules(model.seedx, model.detokenizer).items():
            weights.write(aside, part, part_state(part, module), dtype)
        if model.load_other_stage:
            other = model.stage(not model.config.detokenizer.condition)
            weights.write(aside, other_name(model.config), part_state("detokenizer", other), dtype)


def read_part(folder: Path, part: str, expected: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The tensors of one part by name, mapped from the disk.

    Args:
        part: name of its files.
        expected: names and shapes to check against, such as a `part_state`.

    Raises:
        SeedxError: the part is not there, or does not have these names and shapes.
    """
    files = weights.find(folder, part)
    if not files and part == "language" and (folder / GGUF).is_file():
        raise SeedxError(
            f"{folder} has its language model as GGUF, which the engine llama_cpp runs; for torch, convert the model "
            "without --gguf"
        )
    if not files:
        raise SeedxError(f"{folder} holds no {part}.safetensors; save or convert the model again")
    tensors = weights.read(*files)
    if expected is not None:
        weights.check(tensors, expected, f"{folder.name}/{part}")
    return tensors


@contextmanager
def replacing(folder: str | Path) -> Iterator[Path]:
    """An empty folder to write a model to, which takes the place of `folder` if the block ends without an error.

    Files in `folder` that are no model's (notes, runs) stay.

    Raises:
        SeedxError: `folder` holds something that is not a model.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / "config.json").is_file() and any(folder.iterdir()):
        raise SeedxError(f"{str(folder)!r} is not empty and holds no model; give another folder, or empty it")
    with replacing_folder(folder, ours=lambda name: bool(_OURS.fullmatch(name))) as aside:
        yield aside
