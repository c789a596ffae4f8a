"""Pictures to train on, decoded fast: the bytes of a file -> pixels that `tiling.tile_image` cuts the fast way.

`seedx.images` is what decides: its limits, its errors, and its pixels. A JPEG in colour or grey, which is nearly all of
what the web gives, is decoded by simplejpeg (the extra `data`) to those same pixels, without Pillow's copies; anything
else, and whatever simplejpeg complains about, takes Pillow's way. Evaluation and inference open their pictures with
`images.open_image` instead, and get the release's exact tiles.

Shapes: H, W height and width of the picture, upright.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from seedx import images
from seedx.images import MAX_PIXELS, Source, read_header

try:
    import simplejpeg
except ImportError:  # an extra; without it everything takes Pillow's way
    simplejpeg = None


def decode(source: Source, *, max_pixels: int = MAX_PIXELS) -> Tensor:
    """(3, H, W) uint8, RGB: the pixels that `images.open_image` gives. Arguments and errors are its own."""
    header = read_header(source, max_pixels=max_pixels)
    pixels = _decode_jpeg(source, header) if simplejpeg else None
    return _from_array(np.array(images.decode(header))) if pixels is None else pixels


def _decode_jpeg(source: Source, header: PIL.Image.Image) -> Tensor | None:
    """As `decode`; None where Pillow should do it, or say what is wrong."""
    if header.format not in ("JPEG", "MPO") or header.mode not in ("RGB", "L"):
        return None
    if isinstance(source, (str, Path)):
        source = Path(source).read_bytes()
    if not isinstance(source, bytes):
        return None
    try:
        pixels, turn = simplejpeg.decode_jpeg(source, "RGB"), images.turn_of(header)
    except (OSError, SyntaxError, ValueError, EOFError):
        return None
    return _from_array(pixels if turn is None else np.array(PIL.Image.fromarray(pixels).transpose(turn)))


def _from_array(pixels: np.ndarray) -> Tensor:
    """(H, W, 3) -> (3, H, W), a view."""
    return torch.from_numpy(pixels).permute(2, 0, 1)
