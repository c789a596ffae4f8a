"""Multimodal pre-training and instruction tuning: the language model, both resamplers and the tile positions.

Both are the same code on different mixtures. The visual tokenizer is frozen, and encodes each picture once, inside the
model's forward; cached features take the place of pixels.
"""

from __future__ import annotations

import functools
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
from seedx.checkpoint.adapters import write_adapter
from seedx.config import Config, from_dict
from seedx.data.pictures import decode
from seedx.data.stream import Row
from seedx.errors import SeedxError
from seedx.images import TRAINING_MAX_PIXELS
from seedx.inference.reply import Reply
from seedx.messages import Message, map_images
from seedx.model.lora_training import updates_of
from seedx.model.losses import Losses, loss_counts, loss_weights, values_of_an_image
from seedx.model.seedx import SeedX
from seedx.prompt import prepare
from seedx.tiling import to_picture
from seedx.tokenizer import Tokenizer, load, train_tokenizer
from seedx.train.engine import components
from seedx.train.engine.components import Origin, Source
from seedx.train.engine.gradients import autocast
from seedx.train.engine.parallel import current_world
from seedx.train.engine.trainable import adapter_folder, apply, patterns, with_lora
from seedx.train.feature_cache.store import FeatureCache, vision_digest
from seedx.train.recipe import Recipe, overridden
from seedx.train.sample_prompts import SamplePrompt
from seedx.train.stages import by_source
from seedx.train.stages.language_samples import (
    decode_features,
    load_detokenizer,
    predict_features,
    reply_to,
    rows_with_targets,
)
from seedx.train.stages.packed_data import PackedDataStage
from seedx.variants import variant_of


@dataclass(frozen=True)
class Options:
    """
    Attributes:
        corpus: the function "package.module.name" that returns texts to train a tokenizer on, if the folder has none.
        feature_cache: a folder where the visual tokenizer's features are kept for other epochs and runs.
    """

    corpus: str = ""
    feature_cache: str = ""


@dataclass(frozen=True)
class Encode:
    """Messages -> a document of at most `length` tokens with its tiles."""

    tokenizer: Tokenizer
    config: Config
    length: int
    too_long: Literal["drop", "truncate"]
    max_pixels: int = TRAINING_MAX_PIXELS

    def __call__(self, messages: list[Message]) -> Encoded | None:
        opened = map_images(messages, functools.partial(decode, max_pixels=self.max_pixels))
        return prepare(opened, self.tokenizer, self.config, max_length=self.length, too_long=self.too_long)


class LanguageStage(PackedDataStage):
    def __init__(self, recipe: Recipe, folder: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.max_seq_len = recipe, recipe.max_seq_len
        self.options: Options = from_dict(Options, recipe.options, "options.")
        self.source = source = components.source(recipe, folder)
        self.config = with_lora(source.config, recipe)
        self.weights = overridden(loss_weights(self.config.bridge), recipe.losses, "loss")
        self.tokenizer = load_or_train_tokenizer(source.folder, self.config, plugins.named(self.options.corpus))
        if variant_of(self.config).planned and self.tokenizer.specials.plan_start is None:
            raise SeedxError(
                f"{source.folder} has a tokenizer without plans, and the variant {self.config.variant!r} plans its "
                "images: train it from scratch, in a new folder"
            )
        self.encode = Encode(self.tokenizer, self.config, recipe.max_seq_len, recipe.too_long, recipe.max_pixels)
        self.model = self._model(source)
        shows = recipe.sample_every and (current_world().first or recipe.prompts)
        self.detokenizer = load_detokenizer(source.folder, self.config) if shows else None
        self.shown: Batch | None = None
        self.cache: FeatureCache | None = None
        if self.options.feature_cache:
            digest = vision_digest(self.model.vision, "bfloat16" if recipe.bf16 else "float32")
            self.cache = FeatureCache(self.options.feature_cache, self._features, digest)

    def build_model(self, config: Config) -> SeedX:
        """The model to train, without its weights; a variant of this stage may return a modified one."""
        return SeedX(config)

    def _model(self, source: Source) -> SeedX:
        language, bridge = source.find("language"), source.find("bridge")
        if (self.recipe.lora or self.recipe.adapter) and not language:
            raise SeedxError(
                f"lora and adapter train adapters of a language model, and {source.folder} has none: give "
                "init_from a model (`seedx init` makes one of base parts), or train every weight by lora = false"
            )
        source.found("vision", "vision")
        with torch.device("meta" if language and bridge else "cpu"):
            model = self.build_model(self.config)
        components.read(model.vision, source.folder, "vision")
        if bridge:
            components.read(model, source.folder, "bridge", sharded=True)
        else:
            model.input_resampler.init_local()
            model.output_resampler.init_local()
        if language:
            components.read(model.language, source.folder, "language", sharded=True)
            if self.config.language.tie_embeddings:
                model.language.llm.tie_weights()
        else:
            model.language.init_ordinal_rows(self.tokenizer.specials.loc(0), 224)
        if self.recipe.lora or self.recipe.adapter:
            model.language.add_lora()
        if self.recipe.trained or not self.recipe.lora:
            apply(model, patterns(self.recipe, "language"))
        return model

    def origins(self) -> list[Origin]:
        parts: dict[str, dict[str, nn.Parameter]] = {"vision": {}, "language": {}, "adapters": {}, "bridge": {}}
        for name, parameter in self.model.named_parameters():
            part = name.partition(".")[0]
            part = "adapters" if ".lora_" in name else part if part in parts else "bridge"
            parts[part][name] = parameter
        return [self.source.origin(part, tensors) for part, tensors in parts.items() if tensors]

    def batch_of(self, rows: Sequence[Row], seeds: Sequence[str]) -> Batch:
        """Padded to `max_seq_len`, so that shapes stay the same."""
        if self.shown is None and self.recipe.sample_every:
            self.shown = rows_with_targets([row.encoded for row in rows], self.tokenizer.specials.pad)
        batch = collate([row.encoded for row in rows], self.tokenizer.specials.pad, self.max_seq_len)
        batch.sources = by_source.of_tokens(rows, self.sources, self.max_seq_len)
        if self.cache:
            batch.tiles = batch.tiles if batch.tiles is None else self.cache.features(batch.tiles)
            batch.targets = batch.targets if batch.targets is None else self.cache.features(batch.targets)
        return batch

    def _features(self, pixels: Tensor) -> Tensor:
        """Pixels (N, 3, S, S) -> features (N, Q, D), as the model's own forward computes them."""
        device = self.model.vision.proj.device
        with autocast(self.recipe, device):
            features: Tensor = self.model.vision(pixels.to(device))
        return features

    def counts(self, batch: Batch) -> dict[str, int]:
        texts, drawn = by_source.of_labels(batch, self.config.bridge.queries)
        return {
            **loss_counts(batch, self.config),
            **by_source.counts(self.sources, "text", texts),
            **by_source.counts(self.sources, "image", drawn, values_of_an_image(self.config)),
            "samples": int((batch.position_ids == 0).sum()),
            "tokens": int((batch.input_ids != self.tokenizer.specials.pad).sum()),
        }

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        losses: Losses = self.model(batch)
        texts, drawn = by_source.of_labels(batch, self.config.bridge.queries)
        return {
            **losses.sums,
            **by_source.sums(self.sources, "text", losses.each["text"], texts),
            **by_source.sums(self.sources, "image", losses.each["image"], drawn),
        }

    def sample(self, step: int) -> list[Image.Image]:
        """The first target pictures, then those that the folder's de-tokenizer decodes from predicted features; none if
        the folder has no de-tokenizer."""
        if self.shown is None or self.shown.targets is None:
            return []
        features = predict_features(self.model, self.shown)  # on every rank: the model may be sharded
        if self.detokenizer is None:
            return []
        pictures = decode_features(self.model, self.detokenizer, features)
        targets = self.shown.targets[: len(pictures)].float() / 255
        return [*map(to_picture, targets), *map(to_picture, pictures)]

    def replies(self, prompts: Sequence[SamplePrompt]) -> list[Reply]:
        """As the trained folder's model would reply; without its de-tokenizer in words alone."""
        return reply_to(prompts, self.model, self.detokenizer, self.tokenizer)

    def save(self, model: nn.Module, folder: Path) -> None:
        assert isinstance(model, SeedX)
        if self.recipe.adapter:
            self.save_adapter(model, adapter_folder(folder, self.recipe))
            return
        if self.recipe.lora:
            model.language.merge_lora()
        components.write(model.language, folder, "language")
        components.write(model, folder, "bridge")

    def save_adapter(self, model: nn.Module, folder: Path) -> None:
        assert isinstance(model, SeedX)
        llm = model.language.llm
        write_adapter(folder, "language", updates_of(llm), llm, base=self.recipe.init_from)


def load_or_train_tokenizer(folder: Path, config: Config, texts: Callable[[], Iterable[str]] | None) -> Tokenizer:
    """The folder's tokenizer; trained on `texts` if it has none yet.

    Raises:
        SeedxError: the folder has no tokenizer, and there are no texts.
    """
    ranks = current_world()
    missing = not any((folder / name).exists() for name in ("tokenizer.json", "tokenizer.model"))
    if any(ranks.gather(missing)):
        if ranks.first:
            if texts is None:
                raise SeedxError(
                    f"{folder} has no tokenizer: give texts to train one on (options.corpus), or a model (init_from)"
                )
            trained = train_tokenizer(texts(), config.language.vocab_size, variant_of(config).planned)
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as aside:  # a kill must not leave half of it
                trained.save(Path(aside))
                for file in Path(aside).iterdir():
                    file.replace(folder / file.name)
        ranks.barrier()
    return load(folder)
