"""What the language model regresses for pictures that it is asked for, kept on disk.

Regressed features are means of what might be meant: the de-tokenizer that is to draw from them may learn on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from seedx import tokenizer
from seedx.batch import Encoded, collate
from seedx.config import Config
from seedx.data.pictures import decode
from seedx.messages import map_images
from seedx.model.seedx import SeedX
from seedx.prompt import prepare
from seedx.tokenizer import Tokenizer
from seedx.train.engine import components
from seedx.train.engine.parallel import current_world
from seedx_stickers.tasks import Example
from seedx_stickers.training.bank import CHUNK, fingerprint, kept


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

    def guessed(rows: range) -> dict[str, Tensor]:
        found = features[rows.start : rows.stop].clone()
        for start in tqdm(rows[::CHUNK], desc=f"guessing {stream}", mininterval=5, disable=not current_world().first):
            asked = {index: one for index in rows[start - rows.start :][:CHUNK] if (one := example(index))}
            if asked:
                encoded = [_encoded(one, words, config) for one in asked.values()]
                places = torch.tensor(list(asked)) - rows.start
                found[places] = _regressed(model, encoded, words.specials.pad).half()
        return {"features": found}

    return kept(path, f"{fingerprint(model)}/{stream}/{len(features)}", len(features), guessed)["features"]


def _model(source: Path, config: Config) -> SeedX:
    model = SeedX(config).eval()
    components.read(model.vision, source, "vision")
    components.read(model.language, source, "language")
    components.read(model, source, "bridge")
    return model


def _encoded(example: Example, words: Tokenizer, config: Config) -> Encoded:
    encoded = prepare(map_images(example.messages, decode), words, config)
    assert encoded is not None  # it may be of any length
    return encoded


@torch.no_grad()
def _regressed(model: SeedX, rows: Sequence[Encoded], pad: int) -> Tensor:
    """(B, Kp, D): of each row's last drawn picture."""
    last = torch.tensor([len(row.draws) for row in rows]).cumsum(0) - 1
    with torch.autocast("cpu", torch.bfloat16):
        return model.drawn(collate(rows, pad))[last]
