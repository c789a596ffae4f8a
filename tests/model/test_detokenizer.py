"""The de-tokenizer: the release's numbers, widening, losses, autoencoders and drawing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from seedx.model.autoencoder import Autoencoder
from seedx.model.denoise import branches, denoise
from seedx.model.detokenizer import Detokenizer, coordinates, scheduler, widen
from seedx.verify import kind
from small import SMALL

GOLDEN = Path(__file__).parents[1] / "golden"
FEATURES = 12
CONFIG = dataclasses.replace(
    SMALL.detokenizer,
    coordinates=2,
    image_size=32,
    condition=False,
    steps=3,
    vae=SMALL.detokenizer.vae | {"latent_channels": 6, "fold": 2},
)


@pytest.fixture(scope="module")
def stage_one() -> Detokenizer:
    torch.manual_seed(0)
    return Detokenizer(CONFIG, FEATURES).eval()


@pytest.fixture(scope="module")
def stage_two() -> Detokenizer:
    torch.manual_seed(0)
    model = widen(Detokenizer(CONFIG, FEATURES)).eval()
    with torch.no_grad():
        model.unet.conv_in.weight[:, 6:12].normal_(std=0.1)  # a condition must show
    return model


def draw(model: Detokenizer, rows: int = 2, **options: object) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    features = torch.randn(3, 16, FEATURES, generator=generator)[:rows]
    negative = torch.randn(1, 4, FEATURES, generator=generator)
    return denoise(model, features, negative, options.pop("seeds", range(rows)), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["e_adapter_forward", "e_sampling"])
def test_release_numbers(name: str) -> None:
    results = kind(name)(GOLDEN, name)
    worst = max(results, key=lambda result: result[1])
    assert len(results) >= 23
    assert worst[1] < 5e-5, worst


def test_widened_draws_the_same_and_keeps_the_bias(stage_one: Detokenizer) -> None:
    model = Detokenizer(CONFIG, FEATURES).eval()
    model.load_state_dict(stage_one.state_dict())
    widen(model)
    assert model.config.condition
    assert model.unet.conv_in.weight.shape[1] == 2 * 6 + 4 * 2
    assert torch.equal(model.unet.conv_in.bias, stage_one.unet.conv_in.bias)
    condition = torch.randn(2, 6, 8, 8)
    torch.testing.assert_close(draw(model, condition=condition), draw(stage_one), atol=1e-5, rtol=0)
    # A model of the second stage built from its own config has the same shapes.
    fresh = Detokenizer(model.config, FEATURES)
    fresh.load_state_dict(model.state_dict())


def test_condition_shows_and_the_first_stage_refuses_it(stage_one: Detokenizer, stage_two: Detokenizer) -> None:
    condition = torch.randn(2, 6, 8, 8)
    assert (draw(stage_two, condition=condition) - draw(stage_two)).abs().max() > 1e-3
    with pytest.raises(ValueError, match="first stage"):
        draw(stage_one, condition=condition)
    with pytest.raises(ValueError, match="shape of the drawing"):
        draw(stage_two, condition=condition[:, :, :4])


def test_no_condition_is_a_zero_condition(stage_two: Detokenizer) -> None:
    torch.testing.assert_close(draw(stage_two, condition=torch.zeros(2, 6, 8, 8)), draw(stage_two), atol=1e-5, rtol=0)


@pytest.mark.parametrize("sampler", ["EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "DDIMScheduler"])
def test_seeds(stage_one: Detokenizer, sampler: str) -> None:
    """The same seed gives the same bits; a picture does not depend on its company."""
    first = draw(stage_one, 3, seeds=[7, 8, 9], sampler=sampler)
    assert torch.equal(first, draw(stage_one, 3, seeds=[7, 8, 9], sampler=sampler))
    torch.testing.assert_close(first[:1], draw(stage_one, 1, seeds=[7], sampler=sampler), atol=1e-5, rtol=0)
    assert (first[:1] - draw(stage_one, 1, seeds=[8], sampler=sampler)).abs().max() > 1e-2


def test_size_and_callback(stage_one: Detokenizer) -> None:
    seen: list[tuple[int, int]] = []
    image = draw(stage_one, size=(16, 40), callback=lambda step, steps, latents: seen.append((step, steps)))
    assert image.shape == (2, 3, 16, 40)
    assert image.min() >= 0 and image.max() <= 1
    assert seen == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(ValueError, match="multiples of 4"):
        draw(stage_one, size=(16, 30))
    with pytest.raises(ValueError, match="2 pictures came with 1 seeds"):
        draw(stage_one, seeds=[1])


def test_branches() -> None:
    full, negative, condition = torch.ones(1), torch.zeros(1), torch.ones(1)
    weights = lambda *args: [weight for weight, _, _ in branches(*args)]  # noqa: E731
    assert weights(full, negative, None, 7.5, 1.5) == [7.5, -6.5]
    assert weights(full, negative, None, 1.0, 1.5) == [1.0]
    assert weights(full, negative, condition, 7.5, 1.5) == [7.5, -6.0, -0.5]
    assert weights(full, negative, condition, 7.5, 1.0) == [7.5, -6.5]
    assert weights(full, negative, condition, 1.0, 1.0) == [1.0]


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_loss_has_the_target_of_the_scheduler(prediction: str) -> None:
    config = dataclasses.replace(CONFIG, scheduler={"prediction_type": prediction})
    model = Detokenizer(config, FEATURES)
    latents, noise, timesteps = torch.randn(2, 6, 8, 8), torch.randn(2, 6, 8, 8), torch.tensor([10, 700])
    kept = model.noise_schedule.alphas_cumprod[timesteps][:, None, None, None]
    velocity = kept.sqrt() * noise - (1 - kept).sqrt() * latents
    model.predict = lambda *args: velocity if prediction == "v_prediction" else noise  # type: ignore[method-assign]
    assert model.loss(latents, torch.randn(2, 16, FEATURES), None, noise, timesteps) < 1e-10


def test_loss_reaches_what_trains(stage_two: Detokenizer) -> None:
    latents, timesteps = torch.randn(2, 6, 8, 8), torch.tensor([10, 700])
    loss = stage_two.loss(latents, torch.randn(2, 4, FEATURES), latents, torch.randn_like(latents), timesteps)
    loss.backward()
    without = [name for name, p in stage_two.named_parameters() if p.grad is None and not name.startswith("vae.")]
    assert without == []


def test_coordinates_tell_every_place_apart() -> None:
    channels = coordinates(torch.zeros(2, 6, 5, 7), 3)
    assert channels.shape == (2, 12, 5, 7)
    places = channels[0].flatten(1).T
    assert torch.pdist(places).min() > 0.1


@pytest.mark.parametrize(
    "config",
    [
        CONFIG.vae,
        {
            "class": "AutoencoderDC",
            "fold": 2,
            "shift": 0.5,
            "scaling_factor": 0.25,
            "latent_channels": 8,
            "attention_head_dim": 4,
            "encoder_block_out_channels": (8, 8),
            "decoder_block_out_channels": (8, 8),
            "encoder_layers_per_block": (1, 1),
            "decoder_layers_per_block": (1, 1),
            "encoder_qkv_multiscales": ((), ()),
            "decoder_qkv_multiscales": ((), ()),
        },
    ],
)
def test_autoencoders(config: dict) -> None:
    vae = Autoencoder(config)
    pixels = torch.rand(2, 3, 32, 16) * 2 - 1
    latents = vae.encode(pixels)
    assert vae.factor == 4
    assert latents.shape == (2, vae.channels, 8, 4)
    assert vae.decode(latents).shape == pixels.shape
    torch.testing.assert_close(latents / vae.scale + config.get("shift", 0), vae.mode(pixels))
    with pytest.raises(ValueError, match="multiples of 4"):
        vae.encode(pixels[:, :, :30])


def test_one_table_for_every_scheduler() -> None:
    config = dataclasses.replace(CONFIG, scheduler={"use_karras_sigmas": True, "beta_end": 0.02})
    assert scheduler("EulerDiscreteScheduler", config).config.use_karras_sigmas
    for name in ("DDPMScheduler", "EulerDiscreteScheduler", "DDIMScheduler"):
        assert scheduler(name, config).config.beta_end == 0.02
    with pytest.raises(ValueError, match="beta_ende"):
        scheduler("DDPMScheduler", dataclasses.replace(CONFIG, scheduler={"beta_ende": 0.02}))


def test_wrong_names() -> None:
    with pytest.raises(ValueError, match="AutoencoderNone"):
        Autoencoder({"class": "AutoencoderNone"})
    with pytest.raises(ValueError, match="latent_chanels"):
        Autoencoder({"latent_chanels": 4})
    with pytest.raises(ValueError, match="no class 'EulerScheduler'"):
        scheduler("EulerScheduler", CONFIG)
    with pytest.raises(ValueError, match="no scheduler for this model"):
        scheduler("FlowMatchEulerDiscreteScheduler", CONFIG)
