"""Features of generated samples: the true ones of their pictures, and those that a language model predicts.

A sample is a function of its index. Callers give the functions, and the names of the modules that hold their code.

N samples; Kp pooled features of width D; latents (C, h, w)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from seedx import tokenizer
from seedx.batch import Encoded, collate
from seedx.config import Config, to_dict
from seedx.data.pictures import decode
from seedx.messages import Message, map_images
from seedx.model.autoencoder import Autoencoder
from seedx.model.seedx import SeedX
from seedx.model.vision import VisionTransformer, pool_features
from seedx.prompt import prepare
from seedx.train.engine import components
from seedx.train.engine.parallel import current_world
from seedx.train.feature_cache.arrays import CHUNK, cached_arrays
from seedx.train.feature_cache.digest import digest


@dataclass(frozen=True)
class Samples:
    """
    Attributes:
        name: of the cache's files.
        count: N.
        sources: names of the Python modules whose code generates them.
        settings: what else decides them, of JSON types.
    """

    name: str
    count: int
    sources: tuple[str, ...]
    settings: Mapping[str, object]

    def key(self, modules: Iterable[torch.nn.Module], **settings: object) -> str:
        own = {"name": self.name, "count": self.count, "settings": dict(self.settings)}
        return digest(modules, own | settings, (*self.sources, __name__))


@dataclass(frozen=True)
class EncodedPictures:
    latents: Tensor  # (N, C, h, w) float16, the mode of the encoder
    features: Tensor  # (N, Kp, D) float16; (N, 0) without a visual tokenizer
    key: str  # of the cache

    def __len__(self) -> int:
        return len(self.latents)


def true_features(
    folder: Path,
    samples: Samples,
    picture: Callable[[int], Tensor],
    vae: Autoencoder,
    vision: VisionTransformer | None = None,
) -> EncodedPictures:
    """The latents and the features of pictures.

    Args:
        picture: (3, S, S) uint8 of a sample.
        vision: its pooled features are cached, too.
    """

    def encode(chunk: range) -> tuple[Tensor, Tensor]:
        pixels = torch.stack([picture(index) for index in chunk])
        features = pool_features(vision(pixels), vision.config.pool) if vision else torch.zeros(len(pixels), 0)
        return vae.mode(pixels.float() / 127.5 - 1).half(), features.half()

    def compute(rows: range) -> dict[str, Tensor]:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            encoded = [encode(chunk) for chunk in _chunks(rows, f"encoding {samples.name}")]
        latents, features = (torch.cat(column) for column in zip(*encoded, strict=True))
        return {"latents": latents, "features": features}

    config = to_dict(vision.config) if vision else None
    key = samples.key([vae, vision] if vision else [vae], vae=dict(vae.model.config), vision=config)
    return EncodedPictures(**cached_arrays(folder, samples.name, key, samples.count, compute), key=key)


def predicted_features(
    folder: Path,
    samples: Samples,
    true: EncodedPictures,
    messages: Callable[[int], list[Message[Any]] | None],
    model_folder: Path,
    config: Config,
) -> Tensor:
    """Pooled features (N, Kp, D) float16, as the language model of a folder predicts them for the last picture of a
    conversation, after its true tokens. Predictions are averages over what the text allows.

    Args:
        true: of the same samples; these features stay where a sample has no conversation.
        messages: the conversation of a sample, or None.
    """
    model, words = _model(model_folder, config), tokenizer.load(model_folder)

    def encoded(conversation: list[Message[Any]]) -> Encoded:
        row = prepare(map_images(conversation, decode), words, config)
        assert row is not None  # without a limit of its length
        return row

    def compute(rows: range) -> dict[str, Tensor]:
        found = true.features[rows.start : rows.stop].clone()
        for chunk in _chunks(rows, f"predicting {samples.name}"):
            given = {index: encoded(one) for index in chunk if (one := messages(index))}
            if given:
                places = torch.tensor(list(given)) - rows.start
                found[places] = _predict(model, list(given.values()), words.specials.pad).half()
        return {"features": found}

    key = samples.key([model], config=to_dict(config), vocabulary=words.vocab_size, true=true.key)
    return cached_arrays(folder, samples.name, key, samples.count, compute)["features"]


def _model(folder: Path, config: Config) -> SeedX:
    model = SeedX(config).eval()
    components.read(model.vision, folder, "vision")
    components.read(model.language, folder, "language")
    components.read(model, folder, "bridge")
    return model


@torch.no_grad()
def _predict(model: SeedX, rows: Sequence[Encoded], pad: int) -> Tensor:
    """(B, Kp, D): of each row's last drawn picture."""
    last = torch.tensor([len(row.draws) for row in rows]).cumsum(0) - 1
    with torch.autocast("cpu", torch.bfloat16):
        return model.drawn(collate(rows, pad))[last]


def _chunks(rows: range, title: str) -> Iterator[range]:
    for start in tqdm(rows[::CHUNK], desc=title, mininterval=5, disable=not current_world().first):
        yield range(start, min(rows.stop, start + CHUNK))
