"""From logits to tokens.

Shapes:
    B rows, V vocabulary
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from seedx.tokens import SpecialTokens


def suppress(
    logits: Tensor, specials: SpecialTokens, queries: int, release: bool = False, forbidden: tuple[int, ...] = ()
) -> Tensor:
    """Outside a span: (B, V) logits without the tokens that only spans and prompts hold, and without `forbidden` ones.

    The release writes 0 for the placeholders in use and `</img>`, which can still win, and leaves the others free.
    """
    if release:
        logits = logits.index_fill(-1, _ids(tuple(specials.image(queries)[1:]), logits.device), 0.0)
    else:
        forbidden += _never_sampled(specials)
    return logits.index_fill(-1, _ids(forbidden, logits.device), -torch.inf)


@functools.lru_cache(maxsize=64)
def _never_sampled(s: SpecialTokens) -> tuple[int, ...]:
    others = (s.image_end, s.patch_start, s.patch_end, s.bos, s.pad)
    return tuple(i for i in (*s.placeholders, *others) if i is not None and i != s.eos)


@functools.lru_cache(maxsize=64)
def _ids(ids: tuple[int, ...], device: torch.device) -> Tensor:
    """Made once, not for every token."""
    return torch.tensor(ids, dtype=torch.int64, device=device)


def next_tokens(
    logits: Tensor, temperatures: Sequence[float], top_ps: Sequence[float], draws: Sequence[Tensor | None]
) -> list[int]:
    """(B, V) logits -> the next token of each row, read from the device once.

    Args:
        temperatures: 0 takes the likeliest token.
        draws: a uniform draw in 0..1 for each row, on the CPU; None where the temperature is 0.
    """
    chosen = logits.argmax(dim=-1)
    at = [row for row, temperature in enumerate(temperatures) if temperature > 0]
    if at:
        heat = logits.new_tensor([temperatures[row] for row in at])[:, None]
        shares = logits.new_tensor([top_ps[row] for row in at])
        uniform = torch.stack([draw for draw in draws if draw is not None]).to(logits.device)
        rows = torch.tensor(at, device=logits.device)
        chosen = chosen.index_copy(0, rows, sample(logits[rows] / heat, shares, uniform))
    found: list[int] = chosen.tolist()
    return found


def sample(logits: Tensor, top_p: Tensor, draws: Tensor) -> Tensor:
    """(B, V) logits, shares (B,) and uniform draws (B,) in 0..1 -> (B,) tokens, each among the likeliest tokens that
    have the share `top_p` together."""
    probabilities, order = logits.softmax(dim=-1).sort(dim=-1, descending=True)
    before = probabilities.cumsum(dim=-1) - probabilities
    sums = probabilities.masked_fill(before >= top_p[:, None], 0).cumsum(dim=-1)
    place = (sums <= draws[:, None] * sums[:, -1:]).sum(dim=-1, keepdim=True)
    return order.gather(-1, place)[:, 0]
