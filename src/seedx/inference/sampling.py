"""From logits to tokens.

Shapes:
    B rows, V vocabulary
"""

from __future__ import annotations

import torch
from torch import Tensor

from seedx.tokens import SpecialTokens


def suppress(logits: Tensor, specials: SpecialTokens, queries: int, release: bool = False) -> Tensor:
    """Outside a span: (B, V) logits without the tokens that only spans and prompts hold.

    The release writes 0 for the placeholders in use and `</img>`, which can still win, and leaves the others free.
    """
    if release:
        blocked, value = specials.image(queries)[1:], 0.0
    else:
        s = specials
        others = (s.image_end, s.patch_start, s.patch_end, s.bos, s.pad)
        blocked, value = [i for i in (*s.placeholders, *others) if i is not None and i != s.eos], -torch.inf
    return logits.index_fill(-1, torch.tensor(blocked, device=logits.device), value)


def sample(logits: Tensor, top_p: Tensor, draws: Tensor) -> Tensor:
    """(B, V) logits, shares (B,) and uniform draws (B,) in 0..1 -> (B,) tokens, each among the likeliest tokens that
    have the share `top_p` together."""
    probabilities, order = logits.softmax(dim=-1).sort(dim=-1, descending=True)
    before = probabilities.cumsum(dim=-1) - probabilities
    sums = probabilities.masked_fill(before >= top_p[:, None], 0).cumsum(dim=-1)
    place = (sums <= draws[:, None] * sums[:, -1:]).sum(dim=-1, keepdim=True)
    return order.gather(-1, place)[:, 0]
