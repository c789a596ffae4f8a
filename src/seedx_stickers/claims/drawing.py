"""How well a model draws by words: the regression, what the judge finds in the pictures, and how varied they are."""

from __future__ import annotations

import functools

import numpy as np
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from seedx.inference.image_decoder import ImageRequest
from seedx.inference.pipeline import Pipeline
from seedx.inference.settings import DrawSettings
from seedx_stickers import judge, scoring
from seedx_stickers.claims.claim import Measured, Sample
from seedx_stickers.claims.examples import BATCH, SHOWN, examples
from seedx_stickers.claims.predicted_features import regress, relative_errors, with_norms_of
from seedx_stickers.evaluation.item import Item
from seedx_stickers.judge import Judge
from seedx_stickers.scenes import render

SEEDS = 4  # pictures of each prompt, for their variety


@functools.cache
def critic() -> Judge:
    return judge.load()


def regression(model: Pipeline, seed: int, n: int, kind: str = "draw") -> Measured:
    """KIND.error relative to the features' variance, and KIND.cosine of the drawn features with the true ones."""
    drawn, wanted = regress(model.model, examples(kind, seed, n))
    cosine = F.cosine_similarity(drawn, wanted, dim=-1).mean(dim=1).tolist()
    return Measured({f"{kind}.error": relative_errors(drawn, wanted), f"{kind}.cosine": cosine})


def drawings(model: Pipeline, seed: int, n: int, rescaled: bool = False) -> Measured:
    """What the judge finds of what was asked for, from the regressed features.

    Args:
        rescaled: draw once more, with features as long as true ones (scores "rescaled.all_objects"...).
    """
    asked = examples("draw", seed, n)
    drawn, wanted = regress(model.model, asked)
    measured = Measured()
    ways = {"": drawn} | ({"rescaled.": with_norms_of(drawn, wanted)} if rescaled else {})
    for prefix, features in ways.items():
        pictures = painted(model, features, range(len(features)))
        for item, drawing in zip(asked, pictures, strict=True):
            scores = scoring.drawing(critic().look(drawing), item.expected)
            measured.add({prefix + name: value for name, value in scores.items()})
        if not prefix:
            measured.samples = [_sample(*pair) for pair in zip(asked[:SHOWN], pictures, strict=False)]
    return measured


def variety(model: Pipeline, seed: int, n: int) -> Measured:
    """How different the drawings of one prompt are under four seeds ("between seeds"), and those of different prompts
    ("between prompts"): deviations of a pixel, in levels of 255; "true pictures" has the latter for the renders."""
    asked = examples("draw", seed, n)
    drawn, _ = regress(model.model, asked)
    pictures = painted(model, drawn.repeat_interleave(SEEDS, dim=0), range(SEEDS * len(asked)))
    values = np.stack([np.asarray(picture, np.float64).ravel() for picture in pictures])
    pixels = values.reshape(len(asked), SEEDS, -1)
    true = np.stack([np.asarray(render(item.target), np.float64).ravel() for item in asked])
    return Measured(
        {
            "between seeds": pixels.std(axis=1).mean(axis=1).tolist(),
            "between prompts": _distances(pixels[:, 0]),
            "true pictures": _distances(true),
        }
    )


def painted(model: Pipeline, features: Tensor, seeds: range) -> list[Image.Image]:
    """A picture (the model's own size) of each row of features (N, Kp, D), without a condition."""
    requests = [ImageRequest(row, DrawSettings(seed=seed)) for row, seed in zip(features, seeds, strict=True)]
    pictures: list[Image.Image] = []
    for start in range(0, len(requests), BATCH):
        pictures += model.engine.image_decoder.decode(requests[start : start + BATCH])
    return pictures


def _distances(pictures: np.ndarray) -> list[float]:
    """Of each picture (a row), the root mean square of its pixels' distances from the mean picture."""
    return np.sqrt(np.square(pictures - pictures.mean(axis=0)).mean(axis=1)).tolist()


def _sample(item: Item, drawing: Image.Image) -> Sample:
    return Sample(item.prompt, None, render(item.target), drawing)
