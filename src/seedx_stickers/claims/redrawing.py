"""How well pictures are reconstructed and edited, by what the de-tokenizer reads of them."""

from __future__ import annotations

from typing import Literal

import torch
from PIL import Image

from seedx.inference.image_decoder import HALF
from seedx.inference.pipeline import Pipeline
from seedx.tiling import to_picture, to_tensor
from seedx_stickers import scoring
from seedx_stickers.claims.claim import Measured, Sample
from seedx_stickers.claims.drawing import shared_judge
from seedx_stickers.claims.examples import BATCH, SHOWN, examples
from seedx_stickers.scenes import render

By = Literal["features", "condition", "autoencoder"]


def reconstructions(model: Pipeline, seed: int, n: int, by: By = "features") -> Measured:
    """The objects and the background that the judge recognises, and PSNR.

    Args:
        by: features alone; with the picture itself as the condition; or the autoencoder alone, the upper bound of both.
    """
    scenes = examples("scene", seed, n)
    pictures = [item.pictures[0] for item in scenes]
    redrawn: list[Image.Image] = []
    for start in range(0, n, BATCH):
        given = pictures[start : start + BATCH]
        if by == "autoencoder":
            redrawn += through_autoencoder(model, given)
        else:
            seeds = range(start, start + len(given))
            redrawn += model.reconstruct_batch(given, given if by == "condition" else None, list(seeds))
    measured = Measured()
    for item, one in zip(scenes, redrawn, strict=True):
        scene, seen = item.target, shared_judge().look(one)
        background = float(seen.background == scene.background)
        found, likeness = scoring.objects(seen, scene), scoring.psnr(one, scene)
        measured.add({"objects": found, "background": background, "psnr": likeness})
    measured.samples = [Sample("", pair[0], *pair) for pair in zip(pictures[:SHOWN], redrawn, strict=False)]
    return measured


def edits(model: Pipeline, seed: int, n: int, by: By = "features") -> Measured:
    """Whether the change is there ("done"), and the PSNR of the untouched region ("kept").

    Args:
        by: as in `reconstructions`; "autoencoder" encodes and decodes the true result.
    """
    items = examples("edit", seed, n)
    edited: list[Image.Image] = []
    for start in range(0, n, BATCH):
        batch = items[start : start + BATCH]
        if by == "autoencoder":
            edited += through_autoencoder(model, [render(item.target) for item in batch])
        else:
            conversations, seeds = [item.conversation() for item in batch], list(range(start, start + len(batch)))
            replies = model.reply_batch(conversations, drawing="force", condition=by == "condition", seeds=seeds)
            edited += [reply.images[0] for reply in replies]
    measured = Measured()
    for item, one in zip(items, edited, strict=True):
        scores = scoring.edit(shared_judge().look(one), one, item.expected)
        measured.add({"done": scores["done"], "kept": scores["psnr_outside"]})
        measured.samples.append(Sample(item.prompt, item.pictures[0], render(item.target), one))
    measured.samples = measured.samples[:SHOWN]
    return measured


@torch.no_grad()
def through_autoencoder(model: Pipeline, pictures: list[Image.Image]) -> list[Image.Image]:
    """The pictures after encoding and decoding."""
    model.model.need("detokenizer", "vae")
    vae = model.model.detokenizer.vae
    pixels = torch.stack([to_tensor(one, HALF, HALF) for one in pictures]).to(model.model.detokenizer.device)
    return [to_picture(one) for one in (vae.decode(vae.encode(pixels)).float() / 2 + 0.5).clamp(0, 1)]
