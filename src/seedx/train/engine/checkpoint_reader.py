"""A reader of checkpoints that runs none of the code that they may hold.

`torch.distributed.checkpoint` keeps its table of tensors, `.metadata`, as a pickle, and loading a pickle calls whatever
it names. So only the types that such a table is made of are found here; whatever else it names is an error. The tensors
are loaded by `torch.load(weights_only=True)`.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta

from seedx.errors import SeedxError

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
        except (SeedxError, OSError, MemoryError):
            raise
        except Exception as error:  # a broken pickle fails in any way
            raise SeedxError(f"{file} is damaged ({type(error).__name__}: {error})") from error
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


def _check(metadata: Any, file: Path) -> None:
    """The table has the right types, and its tensors lie in files beside it."""
    stored = metadata.storage_data if isinstance(metadata, Metadata) else None
    if not isinstance(stored, dict) or not isinstance(metadata.state_dict_metadata, dict):
        raise SeedxError(f"{file} is no table of tensors")
    for entry in stored.values():
        name = getattr(entry, "relative_path", None)
        if not isinstance(name, str) or Path(name).name != name:
            raise SeedxError(f"{file} names the file {name!r}, which is not one of its folder")
