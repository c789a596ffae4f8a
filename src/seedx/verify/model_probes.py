"""One fixed picture and prompt through every module of a model: numbers of what comes out, for `model_report`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import PIL.Image
import PIL.ImageDraw
import torch
from torch import Tensor

from seedx.checkpoint.parts import Model
from seedx.inference.engine import Request
from seedx.inference.pipeline import Pipeline
from seedx.tiling import BICUBIC, thumbnail, to_tensor

QUESTION = "What is in the picture?"
CAPTION = "a red circle on a blue square"
OF_LANGUAGE = ("input resampler", "language model", "output resampler", "answer", "drawing")


def picture() -> PIL.Image.Image:
    """The fixed picture: a red circle on a blue square, on a grey gradient; 640 x 400."""
    drawn = PIL.Image.linear_gradient("L").resize((640, 400)).convert("RGB")
    pen = PIL.ImageDraw.Draw(drawn)
    pen.rectangle((200, 80, 440, 320), fill=(30, 60, 200))
    pen.ellipse((260, 140, 380, 260), fill=(220, 30, 30))
    return drawn


def probes(model: Pipeline, steps: int | None) -> dict[str, Callable[[], dict[str, Any]]]:
    """What is run, in order: each gives numbers and raises if it can't."""
    core, shown = model.model, picture()
    found = {
        "visual tokenizer": lambda: _statistics(_features(model, shown)),
        "input resampler": lambda: _statistics(core.seedx.read(_features(model, shown))),
        "language model": lambda: _statistics(_states(model, shown)),
        "output resampler": lambda: _statistics(
            core.seedx.draw_features(_states(model, shown)[:, -1:].expand(-1, 4, -1))
        ),
        "de-tokenizer resampler": lambda: _statistics(
            core.detokenizer.context(model.engine.image_decoder.encode([shown]))[0]
        ),
        "U-Net": lambda: _statistics(_denoised(core, model.engine.image_decoder.encode([shown]))),
        "autoencoder": lambda: _round_trip(core, shown),
        "answer": lambda: _answer(model, shown),
        "drawing": lambda: _drawn(model.draw(CAPTION, seed=0, steps=steps)) | {"caption": CAPTION},
    }
    if model.engine.variant.language:
        return found
    kept = {name: run for name, run in found.items() if name not in OF_LANGUAGE}
    return kept | {"reconstruction": lambda: _drawn(model.reconstruct(shown, seed=0, steps=steps))}


def _statistics(values: Tensor) -> dict[str, Any]:
    values = values.detach().float().cpu()
    finite = values[values.isfinite()].double()
    return {
        "shape": list(values.shape),
        "not_finite": values.numel() - finite.numel(),
        "mean": float(finite.mean()) if finite.numel() else 0.0,
        "deviation": float(finite.std()) if finite.numel() > 1 else 0.0,
        "largest": float(finite.abs().max()) if finite.numel() else 0.0,
    }


def _features(model: Pipeline, shown: PIL.Image.Image) -> Tensor:
    """(1, Q, D) from the visual tokenizer, of the whole picture as one tile."""
    vision, tile = model.model.seedx.vision, model.model.config.tiling.tile
    features: Tensor = vision(thumbnail(shown, tile)[None].to(vision.positions.device, vision.positions.dtype))
    return features


def _states(model: Pipeline, shown: PIL.Image.Image) -> Tensor:
    """(1, T, dim): the final states of the fixed picture and question."""
    core, device = model.model, model.model.detokenizer.device
    prompt = model.engine.prompt(Request([model.engine.turn(QUESTION, [shown])]))
    assert prompt.tiles is not None and prompt.tile_positions is not None and prompt.read_mask is not None
    ids, mask = prompt.ids.to(device)[None], prompt.read_mask.to(device)[None]
    tiles = prompt.tiles.to(device, core.seedx.vision.positions.dtype)
    embeds = core.seedx.embed(ids, mask, tiles, prompt.tile_positions.to(device))
    return core.seedx.language.states(embeds, torch.arange(ids.shape[1], device=device)[None])


def _denoised(core: Model, features: Tensor) -> Tensor:
    """One pass of the U-Net over fixed noise."""
    detokenizer = core.detokenizer
    side = core.config.detokenizer.image_size // detokenizer.vae.factor
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, detokenizer.vae.channels, side, side, generator=generator).to(detokenizer.device)
    prompt, pooled = detokenizer.context(features)
    time_ids = detokenizer.time_ids(noise)
    timesteps = torch.tensor([500], device=detokenizer.device)
    return detokenizer.predict(noise.to(detokenizer.dtype), timesteps, prompt, pooled, time_ids)


def _round_trip(core: Model, shown: PIL.Image.Image) -> dict[str, Any]:
    """Encoded and decoded: the error in decibels, as PSNR of values in -1..1."""
    side = core.config.detokenizer.image_size
    pixels = to_tensor(shown.resize((side, side), BICUBIC), (0.5,) * 3, (0.5,) * 3)[None].to(core.detokenizer.device)
    decoded = core.detokenizer.vae.decode(core.detokenizer.vae.encode(pixels)).float()
    error = float((decoded - pixels).square().mean())
    return _statistics(decoded) | {"psnr": float(10 * torch.tensor(4 / max(error, 1e-12)).log10())}


def _answer(model: Pipeline, shown: PIL.Image.Image) -> dict[str, Any]:
    reply = model.chat(QUESTION, [shown], max_new_tokens=64, drawing="forbid")
    return {"question": QUESTION, "text": reply.text}


def _drawn(drawn: PIL.Image.Image) -> dict[str, Any]:
    values = torch.frombuffer(bytearray(drawn.tobytes()), dtype=torch.uint8).float()
    small = drawn.resize((8, 8), PIL.Image.Resampling.BOX)
    return {
        "size": list(drawn.size),
        "mean": float(values.mean()),
        "deviation": float(values.std()),
        "pixels_8x8": small.tobytes().hex(),
    }
