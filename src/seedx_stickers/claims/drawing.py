"""How well a model draws from text: the regression error, what the judge finds, and how varied the pictures are."""

from __future__ import annotations

import functools

import numpy as np
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from seedx.inference.image_decoder import ImageRequest
from seedx.inference.pipeline import Pipeline
from seedx.inference.settings import DrawSettings
from seedx_stickers import scoring
from seedx_stickers.claims.claim import Measured, Sample
from seedx_stickers.claims.examples import BATCH, SHOWN, examples
from seedx_stickers.claims.predicted_features import predicted_and_true, relative_errors, with_norms_of
from seedx_stickers.evaluation.item import Item
from seedx_stickers.judge import Judge, load_judge
from seedx_stickers.scenes import render

SEEDS = 4  # pictures of each prompt, to measure their variety


@functools.cache
def shared_judge() -> Judge:
    return load_judge()


def regression(model: Pipeline, seed: int, n: int, kind: str = "draw") -> Measured:
    """KIND.error: the error relative to the variance of the features; KIND.cosine: of predicted and true features."""
    predicted, true = predicted_and_true(model.model, examples(kind, seed, n))
    cosine = F.cosine_similarity(predicted, true, dim=-1).mean(dim=1).tolist()
    return Measured({f"{kind}.error": relative_errors(predicted, true), f"{kind}.cosine": cosine})


def drawings(model: Pipeline, seed: int, n: int, rescaled: bool = False) -> Measured:
    """The scores of drawings (`scoring.drawing`), decoded from predicted features.

    Args:
        rescaled: also decode features with the norms of true ones (scores "rescaled.all_objects"...).
    """
    items = examples("draw", seed, n)
    predicted, true = predicted_and_true(model.model, items)
    measured = Measured()
    decoded = {"": predicted} | ({"rescaled.": with_norms_of(predicted, true)} if rescaled else {})
    for prefix, features in decoded.items():
        pictures = decode(model, features, range(len(features)))
        for item, drawing in zip(items, pictures, strict=True):
            scores = scoring.drawing(shared_judge().look(drawing), item.expected)
            measured.add({prefix + name: value for name, value in scores.items()})
        if not prefix:
            measured.samples = [_sample(*pair) for pair in zip(items[:SHOWN], pictures, strict=False)]
    return measured


def variety(model: Pipeline, seed: int, n: int) -> Measured:
    """Standard deviations of pixels, in levels of 255, of drawings: "between seeds" for one prompt and four seeds,
    "between prompts" for one seed; "true pictures": between the renders of the prompts."""
    items = examples("draw", seed, n)
    predicted, _ = predicted_and_true(model.model, items)
    pictures = decode(model, predicted.repeat_interleave(SEEDS, dim=0), range(SEEDS * len(items)))
    values = np.stack([np.asarray(picture, np.float64).ravel() for picture in pictures])
    pixels = values.reshape(len(items), SEEDS, -1)
    true = np.stack([np.asarray(render(item.target), np.float64).ravel() for item in items])
    return Measured(
        {
            "between seeds": pixels.std(axis=1).mean(axis=1).tolist(),
            "between prompts": _distances(pixels[:, 0]),
            "true pictures": _distances(true),
        }
    )


def decode(model: Pipeline, features: Tensor, seeds: range) -> list[Image.Image]:
    """A picture, of the model's own size, for each row of features (N, Kp, D), without a condition."""
    requests = [ImageRequest(row, DrawSettings(seed=seed)) for row, seed in zip(features, seeds, strict=True)]
    pictures: list[Image.Image] = []
    for start in range(0, len(requests), BATCH):
        pictures += model.engine.image_decoder.decode(requests[start : start + BATCH])
    return pictures


def _distances(pictures: np.ndarray) -> list[float]:
    """The root mean square difference of each picture (a row) from the mean picture."""
    distances: list[float] = np.sqrt(np.square(pictures - pictures.mean(axis=0)).mean(axis=1)).tolist()
    return distances


def _sample(item: Item, drawing: Image.Image) -> Sample:
    return Sample(item.prompt, None, render(item.target), drawing)
