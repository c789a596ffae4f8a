"""How likely a model finds given answers.

Shapes:
    B conversations, T tokens of the longest, n learned tokens of one, V vocabulary
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from seedx.batch import IGNORE, Encoded, collate
from seedx.errors import SeedxError
from seedx.inference.pipeline import Pipeline
from seedx.messages import Message, map_images
from seedx.prompt import prepare


@torch.inference_mode()
def score(pipeline: Pipeline, conversations: Sequence[Sequence[Message]]) -> list[tuple[float, bool]]:
    """How unlikely what the assistant says is, in each conversation, and whether greedy decoding would have said it.

    The number is the mean negative log-likelihood in nats a token, the token that ends the answer included.

    Raises:
        SeedxError: a conversation longer than the model's context, or none.
    """
    model, tokenizer = pipeline.model.seedx, pipeline.model.tokenizer
    positions = model.vision.positions
    batch = collate([_row(pipeline, each) for each in conversations], tokenizer.specials.pad).to(positions.device)
    tiles = None if batch.tiles is None else batch.tiles.to(positions.dtype)
    embeds = model.embed(batch.input_ids, batch.read_mask, tiles, batch.tile_positions)
    states = model.language.states(embeds, batch.position_ids)  # (B, T, dim)
    following = batch.labels[:, 1:]
    scores = []
    for row, wanted in zip(states[:, :-1], following, strict=True):
        learned = wanted != IGNORE
        logits = model.language.head(row[learned]).float()  # (n, V)
        loss = F.cross_entropy(logits, wanted[learned])
        scores.append((loss.item(), bool((logits.argmax(-1) == wanted[learned]).all())))
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
