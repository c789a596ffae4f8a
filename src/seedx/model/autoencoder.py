"""Pixels <-> latents: one of diffusers' autoencoders, chosen and sized by a dictionary.

The dictionary holds differences from SDXL's VAE (`AutoencoderKL`), or from the defaults of another class. Our own keys:
    class   name of the diffusers class, "AutoencoderKL" unless given
    fold    side of the squares of pixels that are folded into channels, 1 unless given: it makes small models faster
    shift   subtracted from the latents before they are scaled, 0 unless given

    B images of H x W pixels in -1..1; latents of C channels, h = H / factor, w = W / factor
"""

from __future__ import annotations

import inspect
from typing import Any

import diffusers
from torch import Tensor, nn
from torch.nn import functional as F

from seedx.errors import SeedxError, shorten

SDXL_VAE: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "latent_channels": 4,
    "sample_size": 1024,
    "scaling_factor": 0.13025,
    "force_upcast": True,
}


class Autoencoder(nn.Module):
    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        own: dict[str, Any] = {"class": "AutoencoderKL", "fold": 1, "shift": 0.0}
        own |= {key: value for key, value in config.items() if key in own}
        rest = {key: value for key, value in config.items() if key not in own}
        base = SDXL_VAE if own["class"] == "AutoencoderKL" else {}
        self.fold: int = own["fold"]
        if self.fold > 1:
            channels = 3 * self.fold**2
            rest["in_channels"] = channels
            if own["class"] != "AutoencoderDC":  # which has one number for both ends
                rest["out_channels"] = channels
        self.model = build(own["class"], {**base, **rest})
        self.shift: float = own["shift"]
        self.scale: float = self.model.config.scaling_factor

    @property
    def channels(self) -> int:
        return self.model.config.latent_channels

    @property
    def factor(self) -> int:
        """Pixels along one side of a latent."""
        config = self.model.config
        levels = config.get("block_out_channels") or config.get("encoder_block_out_channels")
        return self.fold * 2 ** (len(levels) - 1)

    @property
    def weight(self) -> Tensor:
        """One of its weights: on its device, in its precision."""
        return next(self.model.parameters())

    def mode(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, C, h, w): the mode of the encoder's latents, neither shifted nor scaled."""
        height, width = pixels.shape[-2:]
        if height % self.factor or width % self.factor:
            raise SeedxError(f"height and width must be multiples of {self.factor}, not {height} x {width}")
        folded = F.pixel_unshuffle(pixels.to(self.weight), self.fold)
        encoded = self.model.encode(folded, return_dict=False)[0]
        return encoded if isinstance(encoded, Tensor) else encoded.mode()

    def encode(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, C, h, w): the latents that the U-Net denoises, of about unit deviation."""
        return (self.mode(pixels) - self.shift) * self.scale

    def decode(self, latents: Tensor) -> Tensor:
        """The way back from `encode`. Not clamped."""
        raw = latents / self.scale + self.shift
        return F.pixel_shuffle(self.model.decode(raw.to(self.weight), return_dict=False)[0], self.fold)


def build(name: str, settings: dict[str, Any]) -> Any:
    """A diffusers class from its name and settings.

    Raises:
        SeedxError: no such class, or a setting that it does not have.
    """
    cls = class_of(name)
    known = settings_of(cls.__init__)
    unknown = [key for key in settings if key not in known]
    if unknown:
        raise SeedxError(f"{name} has no setting {shorten(unknown[0])}; it has: {', '.join(known)}")
    return cls(**settings)


def class_of(name: str) -> Any:
    """A class of diffusers by name; only its module is imported.

    Raises:
        SeedxError: no such class.
    """
    cls = getattr(diffusers, name, None)
    if cls is None:
        raise SeedxError(f"diffusers has no class {shorten(name)}")
    return cls


def settings_of(function: Any) -> list[str]:
    """The names of a function's parameters."""
    return [name for name in inspect.signature(function).parameters if name != "self"]
