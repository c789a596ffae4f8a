"""Sample pictures and answers of the language stage: features predicted for training rows, decoded by the folder's
de-tokenizer, and replies to a recipe's `[[prompts]]`.

The placeholders of a picture are known once `<img>` is chosen, so the states of a training row are those of generation:
the samples are what the model draws for the words (and pictures) before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from seedx.batch import Batch, Encoded, collate
from seedx.checkpoint.parts import Model
from seedx.config import Config
from seedx.inference.engine import Engine, Request
from seedx.inference.reply import Reply
from seedx.inference.settings import Drawing, Settings
from seedx.model.denoise import denoise
from seedx.model.detokenizer import Detokenizer
from seedx.model.seedx import SeedX
from seedx.model.vision import negative_features
from seedx.tokenizer import Tokenizer
from seedx.train.engine import components
from seedx.train.sample_prompts import SamplePrompt
from seedx.train.stages.base import to_device
from seedx.train.stages.detokenizer import FIRST

SHOWN = 4  # pictures


def rows_with_targets(rows: Sequence[Encoded], pad: int) -> Batch | None:
    """The first rows that have the pictures to show, as a batch; None if none has a target picture."""
    chosen: list[Encoded] = []
    for row in rows:
        if row.targets is not None and sum(len(one.targets) for one in chosen if one.targets is not None) < SHOWN:
            chosen.append(row)
    return collate(chosen, pad) if chosen else None


@torch.no_grad()
def predict_features(model: SeedX, batch: Batch) -> Tensor:
    """(up to SHOWN, Kp, D): predicted features of the first target pictures of a batch, without dropout."""
    batch = to_device(batch, model.vision.proj.device)
    training = model.training
    model.eval()
    features = model.drawn(batch)[:SHOWN]
    model.train(training)
    return features


def load_detokenizer(folder: Path, config: Config) -> Detokenizer | None:
    """The de-tokenizer of a model folder: the second stage's, or else the first's; None if there is none."""
    name = next((name for name in ("detokenizer", FIRST) if components.has(folder, name)), None)
    if name is None or not components.has(folder, "vae"):
        return None
    settings = dataclasses.replace(config.detokenizer, condition=False) if name == FIRST else config.detokenizer
    with torch.device("meta"):
        model = Detokenizer(settings, config.vision.output_dim).requires_grad_(False).eval()
    components.read(model, folder, "detokenizer", name)
    components.read(model.vae, folder, "vae")
    return model


@torch.no_grad()
def decode_features(model: SeedX, detokenizer: Detokenizer, features: Tensor) -> Tensor:
    """Features (N, Kp, D) -> pictures (N, 3, H, W) in 0..1. The de-tokenizer is on the device only meanwhile."""
    negative = negative_features(model.vision).float()
    pixels = denoise(detokenizer.to(features.device), features.float(), negative, range(len(features)))
    detokenizer.to("cpu")
    return pixels


@torch.no_grad()
def reply_to(
    prompts: Sequence[SamplePrompt], model: SeedX, detokenizer: Detokenizer | None, tokenizer: Tokenizer
) -> list[Reply]:
    """The likeliest replies of a model in training, without dropout, through the engine that every verb replies by.

    The model may be sharded: then all ranks call it, and generate the same.
    """
    draws: Drawing = "auto" if detokenizer else "forbid"
    if detokenizer is None:
        with torch.device("meta"):
            detokenizer = Detokenizer(model.config.detokenizer, model.config.vision.output_dim)
    else:
        detokenizer.to(model.vision.proj.device)
    config = dataclasses.replace(model.config, detokenizer=detokenizer.config)
    training = model.training
    engine = Engine(Model(config, model.eval(), detokenizer, tokenizer))
    try:
        asked = [
            Request([engine.turn(p.text, list(p.images))], Settings(max_new_tokens=p.max_new_tokens), drawing=draws)
            for p in prompts
        ]
        return engine.reply(asked)
    finally:
        model.train(training)
        if draws == "auto":
            detokenizer.to("cpu")
