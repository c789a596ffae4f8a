"""The visual de-tokenizer: image features -> pixels, close to a condition picture if one is given.

SDXL's U-Net with the features where text features would be. It is trained in two stages: without, then with the latents
of a condition picture beside the noisy ones (`widen` leads from one to the other).

    B pictures of H x W pixels, latents (B, C, h, w), N features of width F a picture
    The U-Net reads C noisy channels, then C of the condition (second stage), then 4 per frequency of coordinates.

Surprises: the condition's latents are the encoder's mode, not scaled as the noisy ones are; no
condition is zeros. How it draws is in `denoise.py`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seedx.config import DetokenizerConfig
from seedx.errors import SeedxError
from seedx.model.autoencoder import Autoencoder, build, class_of, settings_of
from seedx.model.deep_features import DeepFeatures
from seedx.model.perceiver import PerceiverResampler

SDXL_UNET: dict[str, Any] = {
    "sample_size": 128,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (320, 640, 1280),
    "layers_per_block": 2,
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "use_linear_projection": True,
}

SDXL_SCHEDULER: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "timestep_spacing": "leading",
    "steps_offset": 1,
    "clip_sample": False,
    "set_alpha_to_one": False,
}


class Detokenizer(nn.Module):
    """`config.unet`, `config.vae` and `config.scheduler` are differences from SDXL's. Channels and context widths of
    the U-Net follow from the rest; values given for them are ignored."""

    def __init__(self, config: DetokenizerConfig, feature_dim: int) -> None:
        super().__init__()
        self.config = config
        self.resampler = PerceiverResampler(config, feature_dim)
        self.vae = Autoencoder(config.vae)
        self.unet = build("UNet2DConditionModel", _unet_settings(config, self.vae.channels))

    @functools.cached_property
    def noise_schedule(self) -> Any:
        """The noise schedule of `loss`. Made on first use: a model built on the meta device has no tables."""
        return scheduler("DDPMScheduler", self.config)

    @property
    def dtype(self) -> torch.dtype:
        return self.resampler.latents.dtype

    @property
    def device(self) -> torch.device:
        return self.resampler.latents.device

    def context(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, F) -> prompt (B, Q, sum of context_dims), pooled (B, context_dims[1]). N is free: 64 or 256 alike."""
        return self.resampler(features.to(self.dtype))

    def condition(self, pixels: Tensor) -> Tensor:
        """Condition pictures (B, 3, H, W) in -1..1 -> their latents for `loss` and `denoise`."""
        return self.vae.mode(pixels) * self.config.condition_scale

    def predict(
        self,
        noisy: Tensor,
        timesteps: Tensor,
        prompt: Tensor,
        pooled: Tensor,
        time_ids: Tensor,
        condition: Tensor | None = None,
        deep: DeepFeatures | None = None,
        reuse: bool = False,
    ) -> Tensor:
        """One pass of the U-Net, (B, C, h, w) -> (B, C, h, w). `condition` None is zeros where the model has one.

        Args:
            deep: keeps the deep features of the pass; with `reuse`, those that it has are used instead.
        """
        inputs = [noisy]
        if self.config.condition:
            inputs.append(torch.zeros_like(noisy) if condition is None else condition)
        elif condition is not None:
            raise SeedxError("this de-tokenizer is of the first stage and takes no condition picture; widen() it first")
        if self.config.coordinates:
            inputs.append(coordinates(noisy, self.config.coordinates))
        sample = torch.cat([part.to(self.dtype) for part in inputs], dim=1)
        added = {"text_embeds": pooled, "time_ids": time_ids.to(prompt.device, self.dtype)}
        about: dict[str, Any] = {"encoder_hidden_states": prompt, "added_cond_kwargs": added}
        if deep is not None:
            return deep.run(self.unet, sample, timesteps, **about, reuse=reuse)
        return self.unet(sample, timesteps, **about, return_dict=False)[0]

    def loss(
        self,
        latents: Tensor,
        features: Tensor,
        condition_latents: Tensor | None,
        noise: Tensor,
        timesteps: Tensor,
        size: tuple[int, int] | Tensor | None = None,
        each: bool = False,
    ) -> Tensor:
        """Mean squared error of the noise, or of the velocity where `config.scheduler` has `v_prediction`.

        Args:
            latents: (B, C, h, w) from `vae.encode`.
            features: (B, N, F).
            condition_latents: (B, C, h, w) from `condition`, zeros in rows without one; None: no row has one.
            noise: (B, C, h, w), standard normal.
            timesteps: (B,) int64.
            size: height and width in pixels, or SDXL's full time ids (B, 6); None: those of the latents.
            each: of each picture (B,), in the place of the mean of all.
        """
        prompt, pooled = self.context(features)
        noisy = self.noise_schedule.add_noise(latents, noise, timesteps)
        predicted = self.predict(noisy, timesteps, prompt, pooled, self.time_ids(latents, size), condition_latents)
        velocity = self.noise_schedule.config.prediction_type == "v_prediction"
        target = self.noise_schedule.get_velocity(latents, noise, timesteps) if velocity else noise
        if each:
            return F.mse_loss(predicted.float(), target.float(), reduction="none").mean((1, 2, 3))
        return F.mse_loss(predicted.float(), target.float())

    def time_ids(self, latents: Tensor, size: tuple[int, int] | Tensor | None = None) -> Tensor:
        """(B, 6) original size, corner of the crop, target size, in pixels; without a crop unless `size` has one."""
        if isinstance(size, Tensor):
            return size
        height, width = size or (latents.shape[-2] * self.vae.factor, latents.shape[-1] * self.vae.factor)
        return torch.tensor([[height, width, 0, 0, height, width]], device=latents.device).repeat(len(latents), 1)


def widen(model: Detokenizer) -> Detokenizer:
    """Turn a first-stage model into a second-stage one, in place. It draws as before: the new channels start at zero,
    and the bias is kept (the release draws a fresh one here)."""
    old, channels = model.unet.conv_in, model.vae.channels
    new: Any = nn.Conv2d(
        old.in_channels + channels,
        old.out_channels,
        old.kernel_size,
        padding=old.padding,
        device=old.weight.device,
        dtype=old.weight.dtype,
    )
    with torch.no_grad():
        new.weight.zero_()
        new.weight[:, :channels] = old.weight[:, :channels]
        new.weight[:, 2 * channels :] = old.weight[:, channels:]
        new.bias.copy_(old.bias)
    model.unet.conv_in = new
    model.unet.register_to_config(in_channels=new.in_channels)
    model.config = dataclasses.replace(model.config, condition=True)
    return model


def scheduler(name: str, config: DetokenizerConfig) -> Any:
    """A diffusers scheduler by name, with SDXL's noise table and the differences of `config.scheduler`.

    One table serves training and every sampler: a setting that only the others know is left out.

    Raises:
        SeedxError: no such scheduler, one for another kind of model, or a setting that none of them knows.
    """
    known = settings_of(class_of(name).__init__)
    if "prediction_type" not in known or "beta_schedule" not in known:
        raise SeedxError(f"{name} is no scheduler for this model; try EulerDiscreteScheduler or DDIMScheduler")
    others = settings_of(class_of("DDPMScheduler").__init__) + settings_of(class_of(config.sampler).__init__)
    settings = SDXL_SCHEDULER | config.scheduler
    ours = {key: value for key, value in settings.items() if key in known or key not in (*others, *SDXL_SCHEDULER)}
    with _tensors_as_arrays():
        return build(name, ours)


def set_timesteps(schedule: Any, steps: int, device: torch.device | None = None) -> None:
    """`schedule.set_timesteps`, without numpy's warning."""
    with _tensors_as_arrays():
        schedule.set_timesteps(steps, device=device)


@contextmanager
def _tensors_as_arrays() -> Iterator[None]:
    """Without the warning that numpy gives where diffusers' schedulers turn tensors into arrays."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="__array__ implementation", category=DeprecationWarning)
        yield


def coordinates(latents: Tensor, frequencies: int) -> Tensor:
    """(B, C, h, w) -> (B, 4 * frequencies, h, w): position of each latent, x and y in 0..1 as sines and cosines of pi,
    2 pi, 4 pi... At small sizes the U-Net's queries need it to find the features of their place."""
    rows, _, height, width = latents.shape
    scales = math.pi * 2.0 ** torch.arange(frequencies, device=latents.device)
    y = scales[:, None] * (torch.arange(height, device=latents.device) + 0.5) / height
    x = scales[:, None] * (torch.arange(width, device=latents.device) + 0.5) / width
    y, x = y[:, :, None].expand(-1, -1, width), x[:, None, :].expand(-1, height, -1)
    return torch.cat([x.sin(), x.cos(), y.sin(), y.cos()]).to(latents.dtype).expand(rows, -1, -1, -1)


def _unet_settings(config: DetokenizerConfig, channels: int) -> dict[str, Any]:
    settings = SDXL_UNET | config.unet
    return settings | {
        "in_channels": channels * (2 if config.condition else 1) + 4 * config.coordinates,
        "out_channels": channels,
        "cross_attention_dim": sum(config.context_dims),
        "projection_class_embeddings_input_dim": 6 * settings["addition_time_embed_dim"] + config.context_dims[1],
    }
