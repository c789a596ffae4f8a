"""Blocks that run again in the backward pass: the same gradients, and nothing kept, of frozen blocks either."""

import dataclasses

import torch
from diffusers.models.resnet import ResnetBlock2D
from torch import nn

from seedx.model.detokenizer import Detokenizer
from seedx.train.engine import trainable
from seedx.train.engine.activation_checkpoint import apply_activation_checkpointing
from seedx.train.planning.meter import Meter
from small import SMALL

FIRST_STAGE = ("resampler.*", "unet.*.to_k.*", "unet.*.to_v.*")


def gradients(again):
    """Of the de-tokenizer's first stage, with most of its U-Net frozen."""
    torch.manual_seed(0)
    model = Detokenizer(dataclasses.replace(SMALL.detokenizer, condition=False), SMALL.vision.output_dim).train()
    trainable.apply(model, FIRST_STAGE)
    if again:
        apply_activation_checkpointing(model)
    latents, features = torch.randn(2, 4, 8, 8), torch.randn(2, SMALL.vision.queries, SMALL.vision.output_dim)
    model.loss(latents, features, None, torch.randn_like(latents), torch.tensor([10, 900])).backward()
    return {name: parameter.grad for name, parameter in trainable.trained(model).items()}


def test_gradients_are_the_same():
    expected, found = gradients(again=False), gradients(again=True)
    assert expected.keys() == found.keys() and len(expected) > 20
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-7, msg=name)


class Pair(nn.Module):
    """What trains, before a frozen block that its gradients must pass."""

    def __init__(self):
        super().__init__()
        self.trains = nn.Conv2d(4, 8, 1)
        self.block = ResnetBlock2D(in_channels=8, temb_channels=None, groups=2).requires_grad_(False)

    def forward(self, x):
        return self.block(self.trains(x), None)


def kept(again, trains=True):
    """Bytes that the forward pass leaves for the backward pass, and how often the block's first convolution runs."""
    model, x, runs = Pair(), torch.randn(1, 4, 16, 16), []
    model.trains.requires_grad_(trains)
    model.block.conv1.register_forward_hook(lambda *_: runs.append(1))
    if again:
        apply_activation_checkpointing(model)
    with Meter(model, {}) as meter:
        out = model(x)
        left = meter.live
        if trains:
            out.sum().backward()
    return left, len(runs)


def test_a_frozen_block_that_gradients_pass_keeps_only_what_goes_in():
    each = 4 * 8 * 16 * 16  # bytes of one state
    assert kept(again=False)[0] > 5 * each
    assert kept(again=True) == (2 * each, 2)  # in and out; it ran again


def test_a_block_that_no_gradient_reaches_runs_once():
    assert kept(again=True, trains=False) == kept(again=False, trains=False) == (4 * 8 * 16 * 16, 1)
