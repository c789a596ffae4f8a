"""Weights on disk: named tensors in one file, or in shards with an index, as safetensors or (read only) as .bin.

    vision.safetensors                              one file
    language-00001-of-00014.safetensors, ...        shards, named as huggingface_hub names them
    language.safetensors.index.json                 which shard holds which tensor

What is read is mapped from the disk: a tensor takes memory when it is used, and its names and shapes are known before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from seedx.atomic import replacing_file
from seedx.damage import check_file, read_json_object
from seedx.errors import SeedxError, first_line

SHARD_BYTES = 2 * 1024**3
SUFFIXES = (".safetensors", ".bin")  # the first that is there is read
STEMS = ("model", "pytorch_model", "diffusion_pytorch_model")  # what other libraries call the weights of a module
_NUMBER = "[0-9]" * 5


def find(folder: Path, name: str) -> list[Path]:
    """The files that hold the weights `name` of a folder, in order; none if there are none.

    Args:
        name: without suffix.

    Raises:
        SeedxError: an index can't be read, or a shard is missing.
    """
    for suffix in SUFFIXES:
        whole, index = folder / f"{name}{suffix}", folder / f"{name}{suffix}.index.json"
        if whole.is_file():
            return [whole]
        if index.is_file():
            return _indexed(index)
        if shards := sorted(folder.glob(f"{name}-{_NUMBER}-of-{_NUMBER}{suffix}")):
            return _numbered(shards)
        if shards := sorted(folder.glob(f"{name}-{_NUMBER}{suffix}")):  # of older versions of this library
            return shards
    return []


def find_module(folder: Path) -> list[Path]:
    """The files of a folder with one module, as transformers, diffusers or the release write it; maybe none.

    Second copies (ONNX, OpenVINO, Flax, half precision) are passed over; half precision is read if it is the only one.

    Raises:
        SeedxError: as `find`.
    """
    for name in (*STEMS, *(f"{stem}.fp16" for stem in STEMS)):
        if files := find(folder, name):
            return files
    return []


def _indexed(index: Path) -> list[Path]:
    weight_map = read_json_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(shard, str) for shard in weight_map.values()):
        raise SeedxError(f'{index} is no index of shards: it has no "weight_map" of names and files')
    files = [index.parent / shard for shard in sorted(set(weight_map.values()))]
    for file in files:
        if file.parent != index.parent:
            raise SeedxError(f"{index} lists {file.name} in another folder; shards lie beside their index")
        if not file.is_file():
            raise SeedxError(f"{index} lists {file.name}, which is not there; save, convert or download it again")
    return files


def _numbered(shards: list[Path]) -> list[Path]:
    """Shards without their index: NAME-00001-of-00003 to NAME-00003-of-00003."""
    last, here = shards[-1], {shard.name for shard in shards}
    stem, count = last.name[: -len(last.suffix)].rsplit("-of-", 1)
    for number in range(1, int(count) + 1):
        expected = f"{stem[:-5]}{number:05d}-of-{count}{last.suffix}"
        if expected not in here:
            raise SeedxError(f"{last.parent} lacks the shard {expected}; download it again")
    return shards


def read(*files: Path) -> dict[str, Tensor]:
    """The tensors of some files by name, mapped from the disk.

    Raises:
        SeedxError: a file is damaged, or two of them hold a tensor of the same name.
    """
    found: dict[str, Tensor] = {}
    for file in files:
        tensors = _mapped(file)
        if twice := found.keys() & tensors.keys():
            raise SeedxError(f"{file} holds {min(twice)!r}, and so does another shard; save or convert the model again")
        found |= tensors
    return found


def _mapped(file: Path) -> dict[str, Tensor]:
    check_file(file)
    try:
        if file.suffix == ".safetensors":
            with safe_open(file, "pt") as tensors:
                return {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118 (it is no dictionary)
        with file.open("rb") as opened:
            zipped = opened.read(2) == b"PK"  # an older pickle can't be mapped
        loaded = torch.load(file, map_location="cpu", mmap=zipped, weights_only=True)
    except (SafetensorError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
        raise SeedxError(f"{file} can't be read as weights: {first_line(error)}") from error
    if not isinstance(loaded, dict) or not all(isinstance(tensor, Tensor) for tensor in loaded.values()):
        raise SeedxError(f"{file} is no dictionary of names and tensors")
    return dict(loaded)


def check(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str) -> None:
    """Compare names and shapes.

    Args:
        expected: such as a module's state dict; it may be on the meta device.
        where: what the tensors are, for the message.

    Raises:
        SeedxError: a name that is unknown, a tensor of another shape, or one that is missing.
    """
    for name, tensor in tensors.items():
        if name not in expected:
            raise SeedxError(
                f"{where}: {name!r} is not a weight of this model; do the config and the weights belong together?"
            )
        shape, found = tuple(expected[name].shape), tuple(tensor.shape)
        if shape != found:
            raise SeedxError(f"{where}: {name!r} must have shape {shape}, not {found}; compare the config's sizes")
    if missing := [name for name in expected if name not in tensors]:
        others = f" and {len(missing) - 1} more are" if len(missing) > 1 else " is"
        raise SeedxError(f"{where}: {missing[0]!r}{others} missing; is the file complete?")


def write(
    folder: Path,
    name: str,
    tensors: Mapping[str, Tensor],
    dtype: torch.dtype | None = None,
    shard_bytes: int = SHARD_BYTES,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Store weights as safetensors, in place of what `name` was before. One shard is converted at a time.

    Args:
        dtype: of the stored tensors of floating point; None: as they are.
        shard_bytes: the most that a file holds, but for a single tensor that is larger.
        progress: called for each tensor with its stored size in bytes.
    """
    meta = {key: torch.empty(t.shape, dtype=_stored_dtype(t, dtype), device="meta") for key, t in tensors.items()}
    split = split_torch_state_dict_into_shards(
        meta, filename_pattern=f"{name}{{suffix}}.safetensors", max_shard_size=shard_bytes
    )
    before = _stored_files(folder, name)
    for filename, keys in split.filename_to_tensors.items():
        aside = folder / f".{filename}.part"
        save_file(stored({key: tensors[key] for key in keys}, dtype, progress), aside, {"format": "pt"})
        _open_to_readers(aside)
    for filename in split.filename_to_tensors:
        (folder / f".{filename}.part").replace(folder / filename)
    written = {folder / filename for filename in split.filename_to_tensors}
    if split.is_sharded:
        index = folder / f"{name}.safetensors.index.json"
        with replacing_file(index) as aside:
            values = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
            aside.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        written.add(index)
    for old in before - written:
        old.unlink(missing_ok=True)


def _stored_files(folder: Path, name: str) -> set[Path]:
    """All files of the weights `name`, however they were stored."""
    patterns = ("", f"-{_NUMBER}", f"-{_NUMBER}-of-{_NUMBER}")
    files = {file for pattern in patterns for file in folder.glob(f"{name}{pattern}.safetensors")}
    return files | {folder / f"{name}.safetensors.index.json"}


def stored(
    tensors: Mapping[str, Tensor],
    dtype: torch.dtype | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Tensor]:
    """The tensors as they are stored: on the CPU, contiguous, those of floating point in `dtype`."""
    converted: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        converted[name] = tensor.detach().to("cpu", _stored_dtype(tensor, dtype)).contiguous()
        if progress:
            progress(converted[name].nbytes)
    return converted


def _open_to_readers(file: Path) -> None:
    """Give a file the usual permissions: safetensors lets nobody but the owner read what it writes."""
    os.umask(umask := os.umask(0o077))  # there is no way to read it but to set it
    file.chmod(0o666 & ~umask)


def _stored_dtype(tensor: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    return dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
