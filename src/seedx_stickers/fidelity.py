"""How much of a sticker's drawing is in a picture that should show it: a score with the true render at hand.

It labels what the judge, who never sees the truth, learns to accept and to reject (`judge_pictures.py`).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from seedx_stickers.scenes import Scene, Sticker, box, render

AROUND = 7  # pixels: detail is what differs from the mean around it
REACH = 4  # pixels by which a drawing may be off


def fidelity(picture: Image.Image, scene: Scene, sticker: Sticker, truth: Image.Image | None = None) -> float:
    """Correlation, -1 to 1, of the detail of a picture with that of the scene's render in a sticker's box, at the best
    shift of up to `REACH` pixels. The picture has the scene's size. `truth`: the render, if it is at hand."""
    true, seen = _detail(truth or render(scene)), _detail(picture)
    x0, y0, x1, y1 = box(scene, sticker)
    left, right = max(0, round(x0 * scene.width) - 1), min(scene.width, round(x1 * scene.width) + 1)
    top, bottom = max(0, round(y0 * scene.height) - 1), min(scene.height, round(y1 * scene.height) + 1)
    own = true[top:bottom, left:right]
    best = -1.0
    for dy in range(-REACH, REACH + 1):
        for dx in range(-REACH, REACH + 1):
            if top + dy < 0 or left + dx < 0 or bottom + dy > scene.height or right + dx > scene.width:
                continue
            other = seen[top + dy : bottom + dy, left + dx : right + dx]
            scale = float(np.sqrt((own**2).sum() * (other**2).sum()))
            best = max(best, float((own * other).sum()) / scale if scale > 1e-6 else 0.0)
    return best


def _detail(picture: Image.Image) -> np.ndarray:
    pixels = torch.from_numpy(np.asarray(picture.convert("RGB"), np.float64)).permute(2, 0, 1)[None]
    around = F.avg_pool2d(F.pad(pixels, (AROUND // 2,) * 4, mode="replicate"), AROUND, stride=1)
    return (pixels - around)[0].permute(1, 2, 0).numpy()
