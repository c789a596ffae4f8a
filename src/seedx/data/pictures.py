"""Fast decoding of pictures to train on: the bytes of a file -> a tensor, which `tiling.tile_image` resizes with torch.

Limits, errors and pixels are those of `seedx.images`. A JPEG in colour or grey, as nearly all pictures of the web are,
is decoded by simplejpeg (the extra `data`) to the same pixels, without Pillow's copies; other formats, and files that
simplejpeg rejects, are decoded by Pillow. Evaluation and inference open their pictures with `images.open_image`, and
get the release's exact tiles.

Shapes: H, W height and width of the picture, upright.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from seedx import images
from seedx.images import TRAINING_MAX_PIXELS, Source, read_header

try:
    import simplejpeg
except ImportError:  # an extra; without it Pillow decodes everything
    simplejpeg = None


def decode(source: Source, *, max_pixels: int = TRAINING_MAX_PIXELS) -> Tensor:
    """(3, H, W) uint8, RGB: the pixels that `images.open_image` gives. Arguments and errors are its own."""
    header = read_header(source, max_pixels=max_pixels)
    pixels = _decode_jpeg(source, header) if simplejpeg else None
    return _from_array(np.array(images.decode(header))) if pixels is None else pixels


def _decode_jpeg(source: Source, header: PIL.Image.Image) -> Tensor | None:
    """As `decode`; None where Pillow has to decode it, or to raise its error."""
    if header.format not in ("JPEG", "MPO") or header.mode not in ("RGB", "L"):
        return None
    if isinstance(source, os.PathLike) or (isinstance(source, str) and not source.startswith("data:")):
        source = Path(source).read_bytes()
    if not isinstance(source, bytes):
        return None
    try:
        pixels, transpose = simplejpeg.decode_jpeg(source, "RGB"), images.upright_transpose(header)
    except MemoryError:
        raise
    except Exception:  # of whatever kind: Pillow then decodes it, or says what is wrong with it
        return None
    return _from_array(pixels if transpose is None else np.array(PIL.Image.fromarray(pixels).transpose(transpose)))


def _from_array(pixels: np.ndarray) -> Tensor:
    """(H, W, 3) -> (3, H, W), a view."""
    return torch.from_numpy(pixels).permute(2, 0, 1)
