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
from seedx.errors import SeedxError

SHARD_BYTES = 2 * 1024**3
SUFFIXES = (".safetensors", ".bin")  # the first that is there is read
_NUMBER = "[0-9]" * 5


def find(folder: Path, name: str) -> list[Path]:
    """The files that hold the weights `name` of a folder, in order; none if there are none.

    Args:
        name: without suffix; in a folder of one module a pattern will do, such as "*model*".

    Raises:
        SeedxError: an index lists a shard that is not there.
    """
    for suffix in SUFFIXES:
        whole = sorted(folder.glob(f"{name}{suffix}"))
        if whole:
            # diffusers may keep a second copy of the same weights in half precision
            return [file for file in whole if ".fp16." not in file.name] or whole
        if indices := sorted(folder.glob(f"{name}{suffix}.index.json")):
            return _indexed(indices[0])
        if shards := sorted(folder.glob(f"{name}-{_NUMBER}{suffix}")):  # of older versions of this library
            return shards
    return []


def _indexed(index: Path) -> list[Path]:
    shards: set[str] = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    files = [index.parent / shard for shard in sorted(shards)]
    for file in files:
        if not file.is_file():
            raise SeedxError(f"{index} lists {file.name}, which is not there; save, convert or download it again")
    return files


def read(*files: Path) -> dict[str, Tensor]:
    """The tensors of some files by name, mapped from the disk.

    Raises:
        SeedxError: a file is not readable as weights, or two of the files hold a tensor of the same name.
    """
    found: dict[str, Tensor] = {}
    for file in files:
        tensors = _mapped(file)
        if twice := found.keys() & tensors.keys():
            raise SeedxError(f"{file} holds {min(twice)!r}, and so does another shard; save or convert the model again")
        found |= tensors
    return found


def _mapped(file: Path) -> dict[str, Tensor]:
    try:
        if file.suffix == ".safetensors":
            with safe_open(file, "pt") as tensors:
                return {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118 (it is no dictionary)
        return dict(torch.load(file, map_location="cpu", mmap=True, weights_only=True))
    except (SafetensorError, UnpicklingError, RuntimeError) as error:  # the last: torch's, of what is no zip archive
        raise SeedxError(f"{file} can't be read as weights, download or save it again: {error}") from error


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
