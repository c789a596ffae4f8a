"""Drawing step by step: pictures that leave, and what a picture will look like."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from seedx.model.denoise import Denoising, denoise
from seedx.model.detokenizer import Detokenizer, widen
from small import SMALL

FEATURES = 12
CONFIG = dataclasses.replace(
    SMALL.detokenizer,
    coordinates=2,
    image_size=32,
    condition=False,
    vae=SMALL.detokenizer.vae | {"latent_channels": 6, "fold": 2},
)
# With noise in each step, of one step, and of several steps, which hold earlier predictions.
SAMPLERS = (
    "EulerAncestralDiscreteScheduler",
    "DDIMScheduler",
    "DPMSolverMultistepScheduler",
    "UniPCMultistepScheduler",
)


@pytest.fixture(scope="module")
def model() -> Detokenizer:
    torch.manual_seed(0)
    model = widen(Detokenizer(CONFIG, FEATURES)).eval()
    with torch.no_grad():
        model.unet.conv_in.weight[:, 6:12].normal_(std=0.1)
    return model


def begin(model: Detokenizer, rows: list[int], sampler: str, steps: int = 6) -> Denoising:
    generator = torch.Generator().manual_seed(5)
    features = torch.randn(4, 16, FEATURES, generator=generator)
    negative = torch.randn(1, 4, FEATURES, generator=generator)
    condition = torch.randn(4, 6, 8, 8, generator=generator)
    return Denoising(
        model, features[rows], negative, rows, condition=condition[rows], sampler=sampler, steps=steps, guidance=3.0
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_pictures_that_stay_are_drawn_as_alone(model: Detokenizer, sampler: str) -> None:
    drawing = begin(model, [0, 1, 2, 3], sampler)
    for stay in ([3, 1, 0], [2, 0]):  # in another order, too: 0, 3
        drawing.step()
        drawing.step()
        drawing.keep(stay)
    while not drawing.done:
        drawing.step()
    for row, number in enumerate((0, 3)):
        alone = begin(model, [number], sampler)
        while not alone.done:
            alone.step()
        torch.testing.assert_close(drawing.pixels()[row : row + 1], alone.pixels(), atol=2e-5, rtol=0)


def test_a_preview_is_what_the_prediction_points_at(model: Detokenizer) -> None:
    """After the last step of a sampler without noise the two are one, and before it the preview has no noise."""
    drawing = begin(model, [0, 1], "EulerDiscreteScheduler")
    drawing.step()
    early = drawing.preview(1)
    while not drawing.done:
        drawing.step()
    torch.testing.assert_close(drawing.preview(1), drawing.pixels()[1], atol=1e-5, rtol=0)
    assert early.shape == (3, 32, 32)
    assert (early - drawing.pixels()[1]).abs().max() > 1e-3


def test_steps_and_the_whole_loop_are_one(model: Detokenizer) -> None:
    seen: list[tuple[int, int]] = []
    generator = torch.Generator().manual_seed(5)
    features = torch.randn(2, 16, FEATURES, generator=generator)
    negative = torch.randn(1, 4, FEATURES, generator=generator)
    whole = denoise(model, features, negative, [0, 1], steps=3, callback=lambda n, of, _: seen.append((n, of)))
    drawing = Denoising(model, features, negative, [0, 1], steps=3)
    while not drawing.done:
        drawing.step()
    assert torch.equal(whole, drawing.pixels())
    assert seen == [(1, 3), (2, 3), (3, 3)]
