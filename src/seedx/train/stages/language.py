"""Multimodal pre-training and instruction tuning: the language model, both resamplers and the tile positions.

Both stages are the same code on other mixtures. The visual tokenizer is frozen, and reads each picture once, inside the
model's forward; features that a cache has are handed over in the place of pixels.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor, nn

from seedx import plugins
from seedx.batch import Batch, Encoded, collate
from seedx.config import Config, LoraConfig, from_dict
from seedx.data.pictures import decode
from seedx.data.stream import Row
from seedx.errors import SeedxError
from seedx.messages import Message, map_images
from seedx.model.losses import Losses, loss_counts, loss_weights
from seedx.model.seedx import SeedX
from seedx.prompt import prepare
from seedx.tiling import to_picture
from seedx.tokenizer import Tokenizer, load, train_tokenizer
from seedx.train.engine import components
from seedx.train.engine.gradients import precision
from seedx.train.engine.parallel import here
from seedx.train.engine.trainable import DEFAULTS, apply
from seedx.train.feature_cache.store import FeatureCache, vision_digest
from seedx.train.recipe import Recipe, chosen
from seedx.train.stages.language_samples import detokenizer, drawing_rows, drawn, regressed
from seedx.train.stages.rows import RowStage


@dataclass(frozen=True)
class Options:
    """
    Attributes:
        start: go on from the language model and resamplers in the folder, which an earlier stage wrote.
        corpus: the function "package.module.name" that gives the texts of a new tokenizer, where the folder has none.
        feature_cache: a folder to keep the visual tokenizer's features in, from one epoch or run to the next.
    """

    start: bool = False
    corpus: str = ""
    feature_cache: str = ""


@dataclass(frozen=True)
class Encode:
    """Messages -> a document of at most `length` tokens with its tiles."""

    tokenizer: Tokenizer
    config: Config
    length: int
    too_long: Literal["drop", "cut"]

    def __call__(self, messages: list[Message]) -> Encoded | None:
        opened = map_images(messages, decode)
        return prepare(opened, self.tokenizer, self.config, max_length=self.length, too_long=self.too_long)


class LanguageStage(RowStage):
    def __init__(self, recipe: Recipe, folder: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.row = recipe, recipe.row
        self.options: Options = from_dict(Options, recipe.options, "options.")
        source = components.source(recipe, folder)
        self.config = _with_lora(components.config_of(source, recipe.preset), recipe)
        self.weights = chosen(loss_weights(self.config.bridge), recipe.losses, "loss")
        self.tokenizer = tokenizer(source, self.config, plugins.named(self.options.corpus))
        self.encode = Encode(self.tokenizer, self.config, recipe.row, recipe.too_long)
        self.model = self._model(source)
        self.painter = (
            detokenizer(source, self.config, plugins.named(self.options.corpus))
            if recipe.sample_every and here().first
            else None
        )
        self.shown: Batch | None = None
        self.cache: FeatureCache | None = None
        if self.options.feature_cache:
            digest = vision_digest(self.model.vision, "bfloat16" if recipe.bf16 else "float32")
            self.cache = FeatureCache(self.options.feature_cache, self._features, digest)

    def build_model(self, config: Config) -> SeedX:
        """The model to train, before its weights are read; a variant of this stage may return a modified one."""
        return SeedX(config)

    def _model(self, source: Path) -> SeedX:
        ready = self.options.start or bool(self.recipe.model)
        with torch.device("meta" if ready else "cpu"):
            model = self.build_model(self.config)
        components.read(model.vision, source, "vision")
        if ready:
            components.read(model.language, source, "language", spread=True)
            components.read(model, source, "bridge", spread=True)
            if self.config.language.tie_embeddings:
                model.language.llm.tie_weights()
        else:
            model.input_resampler.init_local()
            model.output_resampler.init_local()
            model.language.init_ordinal_rows(self.tokenizer.specials.loc(0), 224)
        if self.recipe.lora:
            model.language.add_lora()
        if self.recipe.trained or not self.recipe.lora:
            apply(model, self.recipe.trained or DEFAULTS["language"])
        return model

    def batch_of(self, rows: Sequence[Row], seeds: Sequence[str]) -> Batch:
        """As long as a row may be, however full: shapes stay the same."""
        if self.shown is None and self.recipe.sample_every:
            self.shown = drawing_rows([row.encoded for row in rows], self.tokenizer.specials.pad)
        batch = collate([row.encoded for row in rows], self.tokenizer.specials.pad, self.row)
        if self.cache:
            batch.tiles = batch.tiles if batch.tiles is None else self.cache.features(batch.tiles)
            batch.targets = batch.targets if batch.targets is None else self.cache.features(batch.targets)
        return batch

    def _features(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, Q, D), as the model's own forward computes them."""
        device = self.model.vision.proj.device
        with precision(self.recipe, device):
            return self.model.vision(pixels.to(device))

    def counts(self, batch: Batch) -> dict[str, int]:
        return {
            **loss_counts(batch, self.config),
            "samples": int((batch.position_ids == 0).sum()),
            "tokens": int((batch.input_ids != self.tokenizer.specials.pad).sum()),
        }

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        losses: Losses = self.model(batch)
        return losses.sums

    def sample(self, step: int) -> list[Image.Image]:
        """The first pictures that were to be drawn, then as the folder's de-tokenizer draws them by now, from what is
        regressed for their words; nothing if the folder has none."""
        if self.shown is None or self.shown.targets is None:
            return []
        features = regressed(self.model, self.shown)
        if self.painter is None:
            return []
        pictures = drawn(self.model, self.painter, features)
        wanted = self.shown.targets[: len(pictures)].float() / 255
        return [*map(to_picture, wanted), *map(to_picture, pictures)]

    def save(self, model: nn.Module, folder: Path) -> None:
        assert isinstance(model, SeedX)
        if self.recipe.lora:
            model.language.merge_lora()
        components.write(model.language, folder, "language")
        components.write(model, folder, "bridge")


def tokenizer(folder: Path, config: Config, texts: Callable[[], Iterable[str]] | None) -> Tokenizer:
    """The model's tokenizer; learnt on the tasks' words if the folder has none yet."""
    ranks = here()
    missing = not any((folder / name).exists() for name in ("tokenizer.json", "tokenizer.model"))
    if any(ranks.gather(missing)):
        if ranks.first:
            if texts is None:
                raise SeedxError(f"{folder} has no tokenizer: give its texts as options.corpus, or start from a model")
            learnt = train_tokenizer(texts(), config.language.vocab_size)
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as aside:  # a kill must not leave a half of it
                learnt.save(Path(aside))
                for file in Path(aside).iterdir():
                    file.replace(folder / file.name)
        ranks.barrier()
    return load(folder)


def _with_lora(config: Config, recipe: Recipe) -> Config:
    if not recipe.lora or config.language.lora:
        return config
    return dataclasses.replace(config, language=dataclasses.replace(config.language, lora=LoraConfig()))
