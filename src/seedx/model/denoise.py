"""Drawing: the de-tokenizer's denoise loop, with guidance.

B pictures of H x W pixels, latents (B, C, h, w), N features of width F a picture
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypedDict, Unpack

import torch
from torch import Tensor

from seedx.config import DetokenizerConfig
from seedx.errors import SeedxError
from seedx.model.autoencoder import settings_of
from seedx.model.deep_features import DeepFeatures
from seedx.model.detokenizer import Detokenizer, scheduler, set_timesteps

Branch = tuple[float, Tensor, Tensor | None]  # weight of the prediction, features, latents of the condition


class Options(TypedDict, total=False):
    """What `Denoising` takes by name. What is missing or None is taken from `model.config`."""

    size: tuple[int, int] | None
    condition: Tensor | None
    steps: int | None
    sampler: str | None
    guidance: float | None
    image_guidance: float | None
    noise: Tensor | None
    together: bool
    adapter: Callable[[], AbstractContextManager[None]]
    guidance_interval: tuple[float, float] | None
    cache_interval: int | None


def denoise(
    model: Detokenizer,
    features: Tensor,
    negative: Tensor,
    seeds: Sequence[int],
    *,
    callback: Callable[[int, int, Tensor], None] | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """Draw pictures from their features. Arguments are those of `Denoising`.

    Args:
        callback: called after every step with its number from 1, how many there are, and the latents.

    Returns:
        (B, 3, H, W) pixels in 0..1, float32.
    """
    drawing = Denoising(model, features, negative, seeds, **options)
    while not drawing.done:
        drawing.step()
        if callback:
            callback(drawing.number, drawing.steps, drawing.latents)
    return drawing.pixels()


class Denoising:
    """Pictures that are drawn together, step by step. An option that is None is taken from `model.config`.

    Args:
        features: (B, N, F) of the pictures to draw.
        negative: (1, N', F) features of an all-zero input of the visual tokenizer; compute them once and keep them. The
            release pools them as it does `features`: not for an image given directly.
        seeds: one a picture. A picture's noise depends on its own seed only, whatever else is in the batch.
        size: height and width in pixels, multiples of `model.vae.factor`.
        condition: (B, C, h, w) from `model.condition`, zeros in rows without one; None: no row has one.
        steps: of the scheduler.
        sampler: name of a diffusers scheduler.
        guidance, image_guidance: see `branches`.
        noise: (B, C, h, w) standard normal, in place of what the seeds give.
        together: run the branches of guidance as one batch; False: in turn, in less memory.
        adapter: what every pass of the U-Net runs within.
        guidance_interval: from which share of the steps on, and up to which, there is guidance; in the others only the
            branch with the features (and the condition) runs. None: in all.
        cache_interval: the U-Net's deep features are computed every so many steps (`deep_features.py`). None: in each.

    Attributes:
        steps: how many there are.
        number: how many are done.
        latents: (B, C, h, w) after them.
    """

    @torch.no_grad()
    def __init__(
        self,
        model: Detokenizer,
        features: Tensor,
        negative: Tensor,
        seeds: Sequence[int],
        *,
        size: tuple[int, int] | None = None,
        condition: Tensor | None = None,
        steps: int | None = None,
        sampler: str | None = None,
        guidance: float | None = None,
        image_guidance: float | None = None,
        noise: Tensor | None = None,
        together: bool = True,
        adapter: Callable[[], AbstractContextManager[None]] = nullcontext,
        guidance_interval: tuple[float, float] | None = None,
        cache_interval: int | None = None,
    ) -> None:
        config, rows = model.config, len(features)
        height, width = size or (config.image_size, config.image_size)
        if len(seeds) != rows:
            raise SeedxError(f"one seed a picture: {rows} pictures came with {len(seeds)} seeds")
        self.model, self.adapter, self.number, self.together = model, adapter, 0, together
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        noise = draw_noise(model, self.generators, height, width) if noise is None else noise
        if condition is not None and condition.shape != noise.shape:
            shapes = f"{tuple(noise.shape)}, not {tuple(condition.shape)}"
            raise SeedxError(
                f"the condition's latents must have the shape of the drawing's, {shapes}: resize the picture"
            )
        parts = branches(
            features,
            negative,
            condition,
            config.guidance if guidance is None else guidance,
            config.image_guidance if image_guidance is None else image_guidance,
        )
        if guidance_interval and parts[0][1] is not features:
            raise SeedxError("a guidance of 0 has no branch with the features: leave out guidance_interval")
        self._guided, self._cache_interval = guidance_interval or (0.0, 1.0), cache_interval
        self._deep = [DeepFeatures() for _ in parts] if cache_interval else []  # of each pass of the U-Net in a step
        self._weights = [weight for weight, _, _ in parts]
        self._inputs = stack(model, parts, noise, (height, width))
        self._schedule = scheduler(sampler or config.sampler, config)
        set_timesteps(self._schedule, config.steps if steps is None else steps, model.device)
        self._draws_noise = "generator" in settings_of(self._schedule.step)
        self.steps = len(self._schedule.timesteps)
        self.latents: Tensor = noise.to(model.device) * self._schedule.init_noise_sigma
        self._foreseen = self.latents

    @property
    def done(self) -> bool:
        return self.number == self.steps

    @torch.no_grad()
    def step(self) -> None:
        """The next step of all pictures."""
        timestep = self._schedule.timesteps[self.number]
        guided = self._prediction(timestep)
        options = {"generator": self.generators} if self._draws_noise else {}
        result = self._schedule.step(guided, timestep, self.latents, **options)
        self.latents = result.prev_sample
        # What the prediction points at. Schedulers that do not say so show what there is, noise included.
        self._foreseen = getattr(result, "pred_original_sample", result.prev_sample)
        self.number += 1

    def _prediction(self, timestep: Tensor) -> Tensor:
        """The guided prediction of all pictures, or where there is no guidance now, that of the first branch."""
        first, last = self._guided
        weights = self._weights if first <= self.number / self.steps < last else [1.0]
        noisy = self._schedule.scale_model_input(self.latents, timestep)
        with self.adapter():
            predictions = self._branches(noisy, timestep, len(weights))
        parts = zip(weights, predictions, strict=True)
        return functools.reduce(torch.add, [weight * predicted for weight, predicted in parts])

    def _branches(self, noisy: Tensor, timestep: Tensor, count: int) -> list[Tensor]:
        """The predictions (B, C, h, w) of the first branches, by one pass of the U-Net or by one each."""
        reuse = self._cache_interval is not None and self.number % self._cache_interval > 0
        together, held = count if self.together else 1, len(noisy)
        found: list[Tensor] = []
        for first in range(0, count, together):
            rows = slice(first * held, (first + together) * held)
            inputs: dict[str, Any] = {name: None if each is None else each[rows] for name, each in self._inputs.items()}
            deep = self._deep[first] if self._deep else None
            passed = self.model.predict(noisy.repeat(together, 1, 1, 1), timestep, **inputs, deep=deep, reuse=reuse)
            found += passed.float().chunk(together)
        return found

    def keep(self, rows: Sequence[int]) -> None:
        """Continue with these pictures alone; the others leave. Each is drawn as it would have been."""
        held, at = len(self.latents), list(rows)
        self.generators = [self.generators[row] for row in at]
        self.latents, self._foreseen = self.latents[at], self._foreseen[at]
        for name, stacked in self._inputs.items():  # branch after branch along the batch
            if stacked is not None:
                self._inputs[name] = stacked.unflatten(0, (len(self._weights), held))[:, at].flatten(0, 1)
        for deep in self._deep:
            deep.keep(at, len(self._weights), held)
        shape = (len(at), *self.latents.shape[1:])
        for name, value in vars(self._schedule).items():  # earlier predictions, of samplers of several steps
            setattr(self._schedule, name, _rows_of(value, at, (held, *shape[1:])))

    @torch.no_grad()
    def preview(self, row: int) -> Tensor:
        """(3, H, W) pixels of what one picture will look like, as far as the last prediction says."""
        return self._decoded(self._foreseen[row : row + 1])[0]

    @torch.no_grad()
    def pixels(self) -> Tensor:
        """(B, 3, H, W) pixels in 0..1, float32."""
        return self._decoded(self.latents)

    def _decoded(self, latents: Tensor) -> Tensor:
        return (self.model.vae.decode(latents).float() / 2 + 0.5).clamp(0, 1)


def _rows_of(value: Any, rows: list[int], shape: tuple[int, ...]) -> Any:
    """Some rows of tensors of a shape, within lists too; anything else as it is."""
    if isinstance(value, list):
        return [_rows_of(each, rows, shape) for each in value]
    return value[rows] if isinstance(value, Tensor) and value.shape == shape else value


def check_schedule(sampler: str, steps: int, config: DetokenizerConfig) -> None:
    """Run a sampler on a single value, so that what it can't do is known before anything is generated.

    Raises:
        SeedxError: an unknown sampler, or a number of steps that it can't take.
    """
    schedule = scheduler(sampler, config)
    most = int(schedule.config.num_train_timesteps)
    if steps > most:
        raise SeedxError(
            f"steps is at most {most}, the steps of the noise that the model was trained with, not {steps}"
        )
    generator = torch.Generator().manual_seed(0)
    options = {"generator": generator} if "generator" in settings_of(schedule.step) else {}
    try:
        set_timesteps(schedule, steps)
        value = torch.ones(1, 1, 1, 1)
        for timestep in schedule.timesteps:
            schedule.scale_model_input(value, timestep)
            value = schedule.step(torch.zeros_like(value), timestep, value, **options, return_dict=False)[0]
    except Exception as error:  # each of diffusers' schedulers fails in its own way
        raise SeedxError(f"{sampler} can't draw in {steps} steps ({error}): give another number of steps") from error


def branches(features: Tensor, negative: Tensor, condition: Tensor | None, g: float, g_image: float) -> list[Branch]:
    """What guidance adds up: uncond + g * (full - image only) + g_image * (image only - uncond), as one weighted sum,
    so that a branch of weight zero is not run. Without a condition picture, image only and uncond are the same.

    Worked example: g 7.5 and g_image 1.5 weigh full 7.5, image only -6, uncond -0.5; without a condition g 7.5 weighs
    full 7.5, uncond -6.5; g 1 runs full alone.
    """
    if condition is None:
        parts: list[Branch] = [(g, features, None), (1 - g, negative, None)]
    else:
        parts = [(g, features, condition), (g_image - g, negative, condition), (1 - g_image, negative, None)]
    return [part for part in parts if part[0] != 0]


def stack(model: Detokenizer, parts: list[Branch], noise: Tensor, size: tuple[int, int]) -> dict[str, Any]:
    """The inputs of `Detokenizer.predict` that stay the same over the steps, branch after branch along the batch."""
    contexts = [model.context(features.to(model.device).expand(len(noise), -1, -1)) for _, features, _ in parts]
    prompt, pooled = (torch.cat(side) for side in zip(*contexts, strict=True))
    condition = None
    if any(latents is not None for _, _, latents in parts):
        zeros = torch.zeros_like(noise)
        condition = torch.cat([zeros if latents is None else latents for _, _, latents in parts]).to(model.device)
    time_ids = model.time_ids(prompt, size)
    return {"prompt": prompt, "pooled": pooled, "time_ids": time_ids, "condition": condition}


def draw_noise(model: Detokenizer, generators: list[torch.Generator], height: int, width: int) -> Tensor:
    """(B, C, h, w) standard normal noise, each picture's from its own generator, on the CPU: alike on every device.

    Raises:
        SeedxError: a side is no multiple of the autoencoder's factor.
    """
    factor = model.vae.factor
    if height < factor or width < factor or height % factor or width % factor:
        raise SeedxError(f"height and width must be multiples of {factor}, not {height} x {width}")
    shape = (1, model.vae.channels, height // factor, width // factor)
    return torch.cat([torch.randn(shape, generator=generator) for generator in generators])
