"""Guidance in some of the steps, and deep features that are reused: equal to the plain form where they must be."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from seedx.errors import SeedxError
from seedx.inference.settings import DrawSettings
from seedx.model.deep_features import DeepFeatures
from seedx.model.denoise import Denoising, denoise
from seedx.model.detokenizer import Detokenizer, widen
from small import SMALL

FEATURES = 12
SDXL_LIKE = {  # SDXL's blocks, at a hundredth of its width
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (8, 16, 24),
    "layers_per_block": 2,
    "transformer_layers_per_block": (1, 1, 2),
    "norm_num_groups": 4,
    "attention_head_dim": (2, 2, 2),
    "addition_time_embed_dim": 8,
}
CONFIG = dataclasses.replace(SMALL.detokenizer, image_size=32, condition=False)


def detokenizer(unet=None):
    torch.manual_seed(0)
    model = widen(Detokenizer(dataclasses.replace(CONFIG, unet=unet or CONFIG.unet), FEATURES)).eval()
    with torch.no_grad():
        model.unet.conv_in.weight[:, 4:8].normal_(std=0.1)
    return model


@pytest.fixture(scope="module")
def model():
    return detokenizer()


def inputs(rows=3, side=16):
    generator = torch.Generator().manual_seed(5)
    features = torch.randn(rows, 16, FEATURES, generator=generator)
    negative = torch.randn(1, 4, FEATURES, generator=generator)
    condition = torch.randn(rows, 4, side, side, generator=generator)
    return features, negative, condition


def drawn(model, rows=(0, 1, 2), **options):
    features, negative, condition = inputs()
    at = list(rows)
    settings = {"steps": 4, "guidance": 3.0, "image_guidance": 1.5} | options
    return denoise(model, features[at], negative, at, condition=condition[at], **settings)


@pytest.mark.parametrize("unet", [None, SDXL_LIKE])
@pytest.mark.parametrize("side", [16, 15])
def test_the_written_out_pass_is_diffusers_own(unet, side):
    model = detokenizer(unet)
    prompt, pooled = model.context(torch.randn(2, 16, FEATURES))
    noisy, time_ids = torch.randn(2, 4, side, side), torch.ones(2, 6)
    with torch.no_grad():
        expected = model.predict(noisy, torch.tensor(500), prompt, pooled, time_ids)
        deep = DeepFeatures()
        full = model.predict(noisy, torch.tensor(500), prompt, pooled, time_ids, deep=deep)
        again = model.predict(noisy, torch.tensor(500), prompt, pooled, time_ids, deep=deep, reuse=True)
        other = model.predict(noisy, torch.tensor(400), prompt, pooled, time_ids, deep=deep, reuse=True)
        exact = model.predict(noisy, torch.tensor(400), prompt, pooled, time_ids)
    torch.testing.assert_close(full, expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(again, expected, atol=1e-6, rtol=1e-5)  # nothing has changed since
    assert not torch.allclose(other, exact, atol=1e-4)  # the deep features are those of step 500


def test_a_reused_step_leaves_out_the_deep_blocks(model):
    runs = []
    hooks = [
        block.register_forward_hook(lambda *_, name=name: runs.append(name))
        for name, block in (("first", model.unet.down_blocks[0]), ("mid", model.unet.mid_block))
    ]
    drawn(model, cache_interval=2)
    for hook in hooks:
        hook.remove()
    assert (runs.count("first"), runs.count("mid")) == (4, 2)


def test_off_or_trivial_options_change_nothing(model):
    plain = drawn(model)
    assert torch.equal(drawn(model, guidance_interval=(0.0, 1.0)), plain)
    torch.testing.assert_close(drawn(model, cache_interval=1), plain, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(drawn(model, cache_interval=2), plain, atol=1e-4)


def test_without_guidance_one_branch_runs(model):
    sizes = []
    hook = model.unet.register_forward_hook(lambda _, given, out: sizes.append(len(given[0])))
    half = drawn(model, guidance_interval=(0.0, 0.5))
    hook.remove()
    assert sizes == [9, 9, 3, 3]
    features, negative, condition = inputs()
    by_hand = Denoising(
        model, features, negative, [0, 1, 2], condition=condition, steps=4, guidance=3.0, image_guidance=1.5
    )
    by_hand.step()
    by_hand.step()
    alone = Denoising(
        model, features, negative, [0, 1, 2], condition=condition, steps=4, guidance=1.0, image_guidance=1.0
    )
    alone.step()
    alone.step()
    alone.latents = by_hand.latents
    alone.step()
    alone.step()
    torch.testing.assert_close(half, alone.pixels(), atol=1e-5, rtol=1e-5)
    with pytest.raises(SeedxError, match="leave out guidance_interval"):
        drawn(model, guidance=0.0, image_guidance=0.5, guidance_interval=(0.0, 0.5))


@pytest.mark.parametrize("options", [{"cache_interval": 2}, {"cache_interval": 3, "guidance_interval": (0.3, 0.8)}])
def test_pictures_are_as_alone_and_may_leave(model, options):
    together = drawn(model, steps=6, **options)
    for row in range(3):
        torch.testing.assert_close(drawn(model, [row], steps=6, **options)[0], together[row], atol=1e-4, rtol=1e-4)
    features, negative, condition = inputs()
    drawing = Denoising(
        model,
        features,
        negative,
        [0, 1, 2],
        condition=condition,
        steps=6,
        guidance=3.0,
        image_guidance=1.5,
        **options,
    )
    drawing.step()
    drawing.step()
    drawing.keep([2, 0])
    while not drawing.done:
        drawing.step()
    torch.testing.assert_close(drawing.pixels(), together[[2, 0]], atol=1e-4, rtol=1e-4)


def test_settings_are_checked():
    assert DrawSettings(guidance_interval=[0, 0.5], cache_interval=2).guidance_interval == (0, 0.5)
    for wrong in ((0.5, 0.2), (0.1,), (0, 2), "half"):
        with pytest.raises(SeedxError, match="guidance_interval"):
            DrawSettings(guidance_interval=wrong)
    with pytest.raises(SeedxError, match="cache_interval"):
        DrawSettings(cache_interval=0)
