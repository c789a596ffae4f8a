"""One file of a cache: a checksum, then safetensors. It is there whole or not at all.

Files are written aside and renamed, so any number of processes may share a folder; the checksum finds what a crash or a
disk damaged.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path

import safetensors.torch
from torch import Tensor

from seedx.atomic import replacing_file
from seedx.train.feature_cache.digest import SIZE

_LOG = logging.getLogger(__name__)


class DamagedEntryError(Exception):
    """The checksum does not fit; the file has been removed."""


def read(file: Path) -> dict[str, Tensor] | None:
    """The tensors by name; None if there is no such file, or it can't be read.

    Raises:
        DamagedEntryError: see there.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        _LOG.warning("the feature cache can't read %s: %s", file, error)
        return None
    checksum, data = data[:SIZE], data[SIZE:]
    if checksum != _checksum(data):
        file.unlink(missing_ok=True)
        raise DamagedEntryError(file)
    return safetensors.torch.load(data)


def write(file: Path, tensors: dict[str, Tensor], free: int = 0) -> None:
    """
    Args:
        free: bytes that the disk must have left afterwards.

    Raises:
        OSError: it has less left, or the file can't be written.
    """
    data = safetensors.torch.save({name: tensor.contiguous() for name, tensor in tensors.items()})
    file.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(file.parent).free < free + len(data):
        raise OSError(f"less than {free} bytes would be left on the disk of {file.parent}")
    with replacing_file(file) as aside, aside.open("wb") as opened:
        opened.write(_checksum(data))
        opened.write(data)


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=SIZE).digest()
