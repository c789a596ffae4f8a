"""Base of the de-tokenizer's two stages, whatever the pictures come from.

Stage 1: an image's own features in, the image out. Stage 2 adds the condition picture: editing pairs, and pictures
without one. Both train on the scheduler's target, noise or velocity, at random time steps.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from seedx.checkpoint import native, weights
from seedx.checkpoint.adapters import write_adapter
from seedx.config import to_dict
from seedx.model.denoise import denoise
from seedx.model.detokenizer import Detokenizer, widen
from seedx.model.lora_training import UNET_LAYERS, inject, updates_of
from seedx.model.vision import VisionTransformer, negative_features
from seedx.tiling import to_picture
from seedx.train.engine import components
from seedx.train.engine.components import Origin, Source
from seedx.train.engine.trainable import adapter_folder, apply, lora_settings, patterns
from seedx.train.recipe import Recipe, overridden

FIRST = "first_stage"  # the file of stage 1's weights, where "detokenizer" is of stage 2
OLD_FIRST = "detokenizer-1"  # its name before 0.2


@dataclass(frozen=True)
class Options:
    """
    Attributes:
        feature_noise: largest standard deviation of the noise added to features, relative to their own: predicted
            features are never exact.
        drop: fraction of rows with the features of a blank image, for classifier-free guidance.
        high_noise: the larger, the more often time steps are noisy ones, where the layout is learnt.
        scenes, edits: numbers of generated pictures and editing pairs.
        edited, own: of generated pictures, fractions of editing pairs, and of pictures that are their own condition.
        unrelated: of generated pictures, the fraction whose condition is another picture.
        predicted_feature_ratio: of generated pictures in the second stage, the fraction with features that the folder's
            language model predicts for the words that ask for the picture, where there are such words.
    """

    feature_noise: float = 0.2
    drop: float = 0.1
    high_noise: float = 1.5
    scenes: int = 40000
    edits: int = 30000
    edited: float = 0.6
    own: float = 0.1
    unrelated: float = 0.0
    predicted_feature_ratio: float = 0.0


@dataclass
class Randomness:
    """The random choices for B rows."""

    noise: Tensor  # (B, C, h, w), of unit deviation
    timesteps: Tensor  # (B,)
    errors: Tensor  # (B, Kp, D), noise on the features, relative to their standard deviation
    dropped: Tensor  # (B,) bool, rows with the features of a blank image


@dataclass
class DenoisingBatch:
    latents: Tensor  # (B, C, h, w), the clean targets
    condition: Tensor | None  # (B, C, h, w)
    features: Tensor  # (B, Kp, D)
    noise: Tensor  # (B, C, h, w)
    timesteps: Tensor  # (B,)


class DetokenizerStage:
    """
    Attributes:
        condition: whether it is the second stage, whose model has a condition picture.
        feature_std: standard deviation of the visual tokenizer's features.
        config: of the whole model.
    """

    condition: bool = False
    feature_std = 1.0

    def __init__(self, recipe: Recipe, folder: Path, options: Options) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.options = recipe, options
        self.weights = overridden({"drawing": 1.0}, recipe.losses, "loss")
        self.source = source = components.source(recipe, folder)
        self.config = config = source.config
        with torch.device("meta"):
            self.vision = VisionTransformer(config.vision).eval().requires_grad_(False)
        source.found("vision", "vision")
        source.found("vae", "vae")
        components.read(self.vision, source.folder, "vision")
        self.model = self._model(source)
        components.read(self.model.vae, source.folder, "vae")
        if recipe.adapter:
            inject(self.model.unet, lora_settings(recipe), UNET_LAYERS)
        apply(self.model, patterns(recipe, "condition" if self.condition else "detokenizer"))
        self.negative = negative_features(self.vision)

    def _model(self, source: Source) -> Detokenizer:
        """With initial weights: the stage's own, or stage 1's for stage 2, which are widened; or new ones.

        The first layer of a file's U-Net tells which stage it holds. Its name does not: a model's "detokenizer" may be
        of either stage.
        """
        config = self.config
        with torch.device("meta"):
            model = Detokenizer(dataclasses.replace(config.detokenizer, condition=False), config.vision.output_dim)
        narrow, main = model.unet.conv_in.in_channels, stored_channels(source, "detokenizer")
        self.keeps_first = self.condition and main == narrow
        if self.condition:
            found = source.find("detokenizer", FIRST, OLD_FIRST)
        else:
            found = source.find(FIRST, OLD_FIRST, *(["detokenizer"] if main == narrow else []))
        if not found:
            model = Detokenizer(model.config, config.vision.output_dim)
        first = found is not None and stored_channels(source, found) == narrow
        if self.condition and not first:
            widen(model)
        if found:
            components.read(model, source.folder, "detokenizer", found, sharded=True)
        if self.condition and first:
            widen(model)
        return model

    def origins(self) -> list[Origin]:
        parameters = dict(self.model.named_parameters())
        vae = {name: parameter for name, parameter in parameters.items() if name.startswith("vae.")}
        rest = {name: parameter for name, parameter in parameters.items() if name not in vae}
        own = next((name for name in self.source.origins if name not in ("vae", "vision")), "detokenizer")
        vision = dict(self.vision.named_parameters())
        return [self.source.origin(name, tensors) for name, tensors in ((own, rest), ("vae", vae), ("vision", vision))]

    def counts(self, batch: DenoisingBatch) -> dict[str, int]:
        return {"drawing": batch.latents.numel(), "samples": len(batch.latents)}

    def losses(self, batch: DenoisingBatch) -> dict[str, Tensor]:
        return {"drawing": self.errors(batch).sum()}

    def errors(self, batch: DenoisingBatch) -> Tensor:
        """The summed error of each picture (B,)."""
        given = (batch.latents, batch.features, batch.condition, batch.noise, batch.timesteps)
        return self.model.loss(*given, each=True) * batch.latents[0].numel()

    def randomness(self, rows: int, side: int, generator: torch.Generator | None = None) -> Randomness:
        """For latents of `side` x `side`, from a generator or torch's global one."""
        vision, options = self.vision.config, self.options
        level = options.feature_noise * torch.rand(rows, 1, 1, generator=generator)
        errors = level * torch.randn(rows, vision.pooled, vision.output_dim, generator=generator)
        dropped = torch.rand(rows, generator=generator) < options.drop
        uniform = torch.rand(rows, generator=generator) ** (1 / options.high_noise)
        steps = self.model.noise_schedule.config.num_train_timesteps
        timesteps = (uniform * steps).long().clamp(max=steps - 1)
        noise = torch.randn(rows, self.model.vae.channels, side, side, generator=generator)
        return Randomness(noise, timesteps, errors, dropped)

    def denoising_batch(
        self, latents: Tensor, features: Tensor, condition: Tensor | None, random: Randomness
    ) -> DenoisingBatch:
        features = features + self.feature_std * random.errors
        negative = self.negative.to(features.device)
        features = torch.where(random.dropped[:, None, None], negative, features)
        return DenoisingBatch(latents, condition, features, random.noise, random.timesteps)

    def decode(self, features: Tensor, condition: Tensor | None) -> list[Image.Image]:
        """Pictures of features (B, Kp, D), by the model as trained so far."""
        device = self.model.device
        condition = condition if condition is None else condition.to(device)
        seeds = range(len(features))
        pixels = denoise(self.model, features.to(device), self.negative.to(device), seeds, condition=condition)
        return [to_picture(picture) for picture in pixels]

    def save(self, model: nn.Module, folder: Path) -> None:
        """The second stage becomes the one that the model draws by; the first one is kept beside it."""
        settings = self.config.detokenizer
        if self.recipe.adapter:
            self.save_adapter(model, adapter_folder(folder, self.recipe))
            return
        if not self.condition:
            components.write(model, folder, "detokenizer", FIRST if settings.condition else "detokenizer")
            return
        if self.keeps_first:
            folder.mkdir(parents=True, exist_ok=True)
            weights.write(folder, FIRST, native.read_part(self.source.folder, "detokenizer"))
        components.write(model, folder, "detokenizer")
        if not settings.condition:
            config = dataclasses.replace(self.config, detokenizer=dataclasses.replace(settings, condition=True))
            components.replace_text(folder / "config.json", json.dumps(to_dict(config), indent=2) + "\n")

    def save_adapter(self, model: nn.Module, folder: Path) -> None:
        assert isinstance(model, Detokenizer)
        write_adapter(folder, "unet", updates_of(model.unet), model.unet, base=self.recipe.init_from)


def stored_channels(source: Source, name: str) -> int | None:
    """Input channels of the U-Net in a file of weights; None if there is no such file."""
    if not components.has(source.folder, name):
        return None
    found = native.read_part(source.folder, name).get("unet.conv_in.weight")
    return None if found is None else int(found.shape[1])
