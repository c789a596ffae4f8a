"""A reader of checkpoints that runs none of the code that they may hold.

`torch.distributed.checkpoint` keeps its table of tensors, `.metadata`, as a pickle, and loading a pickle calls whatever
it names. So only the types that such a table is made of are found here; whatever else it names is an error. The tensors
are loaded by `torch.load(weights_only=True)`.
"""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
)

from seedx.damage import check_file
from seedx.errors import SeedxError, first_line, shorten

_METADATA = "torch.distributed.checkpoint.metadata"
_ALLOWED = {
    (_METADATA, "Metadata"),
    (_METADATA, "MetadataIndex"),
    (_METADATA, "StorageMeta"),
    (_METADATA, "TensorStorageMetadata"),
    (_METADATA, "BytesStorageMetadata"),
    (_METADATA, "ChunkStorageMetadata"),
    (_METADATA, "TensorProperties"),
    (_METADATA, "_MEM_FORMAT_ENCODING"),
    ("torch.distributed.checkpoint.filesystem", "_StorageInfo"),
    ("torch", "Size"),
    ("torch.serialization", "_get_layout"),
    ("pathlib", "PosixPath"),  # where it was written
    ("pathlib", "WindowsPath"),
    ("pathlib._local", "PosixPath"),  # of Python 3.13
    ("pathlib._local", "WindowsPath"),
    ("collections", "OrderedDict"),
}


class CheckpointReader(dcp.FileSystemReader):
    """Reads the files of a checkpoint; `read_metadata` raises a SeedxError for one that names anything else."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.folder = path

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """
        Raises:
            SeedxError: the table of tensors is damaged, names what no checkpoint needs, or a file of another folder.
        """
        file = self.folder / ".metadata"
        try:
            with file.open("rb") as stream:
                metadata: Metadata = _Unpickler(stream, file).load()
        except SeedxError:
            raise
        except OSError as error:
            raise SeedxError(f"{file} can't be read: {error.strerror or error}") from error
        except Exception as error:  # a broken pickle fails in any way, and may ask for any amount of memory
            raise SeedxError(f"{file} is damaged ({type(error).__name__}: {first_line(error)})") from error
        _check(metadata, file)
        metadata.storage_meta = metadata.storage_meta or StorageMeta()
        metadata.storage_meta.load_id = self.load_id
        return metadata


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: Any, file: Path) -> None:
        super().__init__(stream)
        self.file = file

    def find_class(self, module: str, name: str) -> Any:
        dtype = getattr(torch, name, None) if module == "torch" and "." not in name else None
        if isinstance(dtype, torch.dtype):
            return dtype
        if (module, name) not in _ALLOWED:
            raise SeedxError(
                f"{self.file} names {module}.{name}, which no checkpoint needs: it could run code of whoever made it; "
                "do not use it"
            )
        return super().find_class(module, name)


def read_rest(path: Path) -> dict[str, Any]:
    """The rest of a checkpoint's state, from the file of `checkpoint_files.REST`.

    Raises:
        SeedxError: it is damaged, or no dictionary.
    """
    check_file(path)
    try:
        rest = torch.load(path, weights_only=True)
    except Exception as error:  # as above
        raise SeedxError(f"{path} can't be read: {first_line(error)}") from error
    if not isinstance(rest, dict) or not all(isinstance(key, str) for key in rest):
        raise SeedxError(f"{path} is no dictionary of names and values")
    return rest


def _check(metadata: Any, file: Path) -> None:
    """The table has the right types, and its tensors lie in files beside it, whole."""
    stored = metadata.storage_data if isinstance(metadata, Metadata) else None
    if not isinstance(stored, dict) or not isinstance(metadata.state_dict_metadata, dict):
        raise SeedxError(f"{file} is no table of tensors")
    for key, entry in metadata.state_dict_metadata.items():
        if not isinstance(key, str) or not isinstance(entry, TensorStorageMetadata) or not _is_whole(entry):
            raise SeedxError(f"{file} is no table of tensors: its entry {shorten(key)} is none")
        for chunk in entry.chunks:
            if MetadataIndex(key, chunk.offsets) not in stored:
                raise SeedxError(f"{file} does not say where {shorten(key)} is stored")
    for index, place in stored.items():
        name = getattr(place, "relative_path", None)
        if not isinstance(index, MetadataIndex) or not isinstance(name, str) or Path(name).name != name:
            raise SeedxError(f"{file} names the file {shorten(name)}, which is not one of its folder")
        _check_place(place, file.parent / name)


def _is_whole(entry: TensorStorageMetadata) -> bool:
    """Whether an entry has a size, a type, and pieces of as many elements as the size."""
    pieces = entry.chunks if isinstance(entry.chunks, list) else [None]
    if not all(isinstance(piece, ChunkStorageMetadata) and _is_within(piece, entry.size) for piece in pieces):
        return False
    if not isinstance(entry.properties, TensorProperties) or not isinstance(entry.properties.dtype, torch.dtype):
        return False
    return _is_size(entry.size) and sum(math.prod(p.sizes) for p in pieces) == math.prod(entry.size)


def _is_within(piece: ChunkStorageMetadata, size: Any) -> bool:
    sizes = (piece.offsets, piece.sizes, size)
    if not all(map(_is_size, sizes)) or len({*map(len, sizes)}) > 1:
        return False
    return all(at + length <= whole for at, length, whole in zip(*sizes, strict=True))


def _is_size(size: Any) -> bool:
    return isinstance(size, torch.Size) and all(side >= 0 for side in size)


def _check_place(place: Any, file: Path) -> None:
    if not file.is_file():
        raise SeedxError(f"{file} is not there")
    numbers = [getattr(place, name, None) for name in ("offset", "length")]
    known = [n for n in numbers if isinstance(n, int) and n >= 0]
    if len(known) < len(numbers) or sum(known) > file.stat().st_size:
        raise SeedxError(f"{file} does not have the bytes of a tensor at {shorten(numbers)}")
