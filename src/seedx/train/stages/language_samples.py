"""What the language stage shows: pictures of its rows, as the folder's de-tokenizer draws what is regressed for them.

The placeholders of a picture are known once `<img>` is chosen, so the states of a training row are those of drawing:
what is shown is what the model draws for the words (and pictures) before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from seedx.batch import Batch, Encoded, collate
from seedx.config import Config
from seedx.model.denoise import denoise
from seedx.model.detokenizer import Detokenizer
from seedx.model.seedx import SeedX
from seedx.model.vision import pool_features
from seedx.train.engine import components
from seedx.train.stages.base import moved
from seedx.train.stages.detokenizer import FIRST

SHOWN = 4  # pictures


def drawing_rows(rows: Sequence[Encoded], pad: int) -> Batch | None:
    """The first rows that have the pictures to show, as a batch; None if no picture is drawn in any."""
    chosen: list[Encoded] = []
    for row in rows:
        if row.targets is not None and sum(len(one.targets) for one in chosen if one.targets is not None) < SHOWN:
            chosen.append(row)
    return collate(chosen, pad) if chosen else None


@torch.no_grad()
def regressed(model: SeedX, batch: Batch) -> Tensor:
    """(up to SHOWN, Kp, D): features of the first pictures that are drawn in a batch, without dropout."""
    batch = moved(batch, model.vision.proj.device)
    training = model.training
    model.eval()
    features = model.drawn(batch)[:SHOWN]
    model.train(training)
    return features


def detokenizer(folder: Path, config: Config) -> Detokenizer | None:
    """The one in a model's folder: of the second stage or, before that is done, of the first; None if there is none."""
    stages = [(name, own) for name, own in (("detokenizer", True), (FIRST, False)) if components.has(folder, name)]
    if not stages or not components.has(folder, "vae"):
        return None
    name, own = stages[0]
    settings = config.detokenizer if own else dataclasses.replace(config.detokenizer, condition=False)
    with torch.device("meta"):
        model = Detokenizer(settings, config.vision.output_dim).requires_grad_(False).eval()
    components.read(model, folder, "detokenizer", name)
    components.read(model.vae, folder, "vae")
    return model


@torch.no_grad()
def drawn(model: SeedX, painter: Detokenizer, features: Tensor) -> Tensor:
    """Features (N, Kp, D) -> pictures (N, 3, H, W) in 0..1. The de-tokenizer is on the device only for it."""
    size, device = model.config.vision.image_size, features.device
    nothing = model.vision(torch.zeros(1, 3, size, size, device=device))
    negative = pool_features(nothing, model.config.vision.pool)
    pixels = denoise(painter.to(device), features.float(), negative.float(), range(len(features)))
    painter.to("cpu")
    return pixels
