"""The likelihood of given answers.

Shapes:
    B conversations, T tokens of the longest, n supervised tokens of one, V vocabulary
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from seedx.batch import Encoded, collate
from seedx.errors import SeedxError
from seedx.inference.pipeline import Pipeline
from seedx.messages import Message, map_images
from seedx.model.losses import next_tokens
from seedx.prompt import prepare


@torch.inference_mode()
def score(pipeline: Pipeline, conversations: Sequence[Sequence[Message]]) -> list[tuple[float, bool]]:
    """For each conversation the loss of the assistant's words, and whether greedy decoding gives the same words.

    The loss is the mean negative log-likelihood in nats per token, the token that ends the answer included.

    Raises:
        SeedxError: a conversation longer than the model's context, or none.
    """
    pipeline.model.need("vision", "bridge", "language")
    model, tokenizer = pipeline.model.seedx, pipeline.model.tokenizer
    positions = model.vision.positions
    batch = collate([_row(pipeline, each) for each in conversations], tokenizer.specials.pad).to(positions.device)
    tiles = None if batch.tiles is None else batch.tiles.to(positions.dtype)
    embeds = model.embed(batch.input_ids, batch.read_mask, tiles, batch.tile_positions)
    states = model.language.states(embeds, batch.position_ids)  # (B, T, dim)
    scores = []
    for row, following, supervised in zip(states[:, :-1], *next_tokens(batch.labels), strict=True):
        tokens = following[supervised]
        logits = model.language.head(row[supervised]).float()  # (n, V)
        loss = F.cross_entropy(logits, tokens)
        scores.append((loss.item(), bool((logits.argmax(-1) == tokens).all())))
    return scores


def _row(pipeline: Pipeline, messages: Sequence[Message]) -> Encoded:
    model = pipeline.model
    row = prepare(map_images(messages, pipeline.open), model.tokenizer, model.config)
    if row is None:
        raise SeedxError(
            f"a question and its answer take more than the model's {model.config.language.context} tokens: "
            "shorten them, or give fewer or smaller pictures"
        )
    return row
