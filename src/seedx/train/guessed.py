"""What the language model regresses for pictures that it is asked for, kept on disk.

Regressed features are means of what might be meant: the de-tokenizer that is to draw from them may learn on them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from seedx import tokenizer
from seedx.collate import Encoded, collate
from seedx.config import Config
from seedx.data.pictures import decoded
from seedx.model.seedx import SeedX
from seedx.prompt import prepare
from seedx.stickers.tasks import Example
from seedx.train import parts
from seedx.train.bank import fingerprint
from seedx.train.sticker_data import rendered

CHUNK = 64


def guess(
    path: Path,
    stream: str,
    source: Path,
    config: Config,
    features: Tensor,
    example: Callable[[int], Example | None],
) -> Tensor:
    """The pooled features (N, Kp, D), float16, of N pictures, those that an example asks for last as the language model
    of `source` regresses them; the others as they are.

    Args:
        path: read if it holds the guesses of this model for this stream.
        example: the one that asks for the picture of an index; None: nobody does.
    """
    model, words = _model(source, config), tokenizer.load(source)
    key = f"{fingerprint(model)}/{stream}/{len(features)}"
    if path.exists():
        stored = load_file(path)
        if bytes(stored["key"].tolist()).decode() == key:
            return stored["features"]
    guessed, waiting = features.clone(), []
    for index in tqdm(range(len(features)), desc=f"guessing {stream}", mininterval=5):
        if asked := example(index):
            encoded = prepare(decoded(rendered(asked.messages)), words, config)
            assert encoded is not None
            waiting.append((index, encoded))
        if waiting and (len(waiting) == CHUNK or index == len(features) - 1):
            indices, rows = zip(*waiting, strict=True)
            guessed[list(indices)] = _regressed(model, rows, words.specials.pad).half()
            waiting = []
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"features": guessed, "key": torch.tensor(list(key.encode()), dtype=torch.uint8)}, path)
    return guessed


def _model(source: Path, config: Config) -> SeedX:
    model = SeedX(config).eval()
    parts.read(model.vision, source, "vision")
    parts.read(model.language, source, "language")
    parts.read(model, source, "bridge")
    return model


@torch.no_grad()
def _regressed(model: SeedX, rows: tuple[Encoded, ...], pad: int) -> Tensor:
    """(B, Kp, D): of each row's last drawn picture."""
    batch = collate(rows, pad)
    with torch.autocast("cpu", torch.bfloat16):
        embeds = model.embed(batch.input_ids, batch.read_mask, batch.tiles, batch.tile_positions)
        states = model.language.states(embeds, batch.position_ids)
        spans = states[batch.draw_mask].unflatten(0, (-1, model.config.bridge.queries))
        last = torch.tensor([len(row.draws) for row in rows]).cumsum(0) - 1
        return model.draw_features(spans[last])
