"""Turns that were read before, found again by their tokens, so that a long conversation does not pay for its past.

Clients send the whole conversation each time. A conversation is known by its keys, one a token: the token's id, or for
a placeholder of a picture that is read a number that follows from the picture's pixels. After a reply its state is kept
under the keys of prompt and reply; a later prompt that continues it, or asks for the reply again, is read from where
the two differ. What the model then reads is exactly what it would read without the cache.

Shapes:
    T tokens, R tiles
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedx.inference.rows import Prompt, RowState

Keys = NDArray[np.int64]  # (T,)


def keys_of(prompt: Prompt) -> Keys:
    """Two prompts have equal keys up to a token exactly if the model reads the same up to it."""
    keys = prompt.ids.numpy().astype(np.int64)
    if prompt.tiles is None or not len(prompt.tiles):
        return keys
    assert prompt.read_mask is not None and prompt.tile_positions is not None
    tiles = []
    for tile, position in zip(prompt.tiles, prompt.tile_positions, strict=True):
        digest = hashlib.blake2b(tile.contiguous().numpy(), digest_size=7)
        digest.update(position.contiguous().numpy())
        tiles.append(-1 - int.from_bytes(digest.digest()))  # ids are not negative
    at = np.flatnonzero(prompt.read_mask.numpy())
    keys[at] = np.repeat(np.array(tiles, dtype=np.int64), len(at) // len(tiles))
    return keys


@dataclass(frozen=True)
class _Entry:
    """
    Attributes:
        keys: of prompt and reply.
        prompt: how many of them are the prompt's.
    """

    keys: Keys
    prompt: int
    state: RowState
    adapter: str | None


class PrefixCache:
    """States of conversations that have had their reply. Used by one thread.

    Args:
        max_tokens: of all states together; 0 keeps none. The ones not used for longest go first.
    """

    def __init__(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        self._next = 0

    @property
    def tokens(self) -> int:
        return sum(entry.state.length for entry in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, keys: Keys, prompt: int, state: RowState, adapter: str | None) -> None:
        """Keep the state of a conversation after its reply: `keys` of both, the first `prompt` of the prompt."""
        if state.length > self.max_tokens:
            return
        self._entries[self._next] = _Entry(keys[: state.length], prompt, state, adapter)
        self._next += 1
        while self.tokens > self.max_tokens:
            self._entries.popitem(last=False)

    def take(self, prompt: Prompt, keys: Keys, adapter: str | None) -> RowState | None:
        """The state that has read the most of this prompt, which leaves at least one token to read. It is the cache's
        no more, since a state can be continued once."""
        best, most = None, 0
        for name, entry in self._entries.items():
            if entry.adapter == adapter:
                known = min(_common(entry.keys, keys), len(keys) - 1)
                if known > most and known >= entry.prompt - 1:  # it is that conversation, not only one like it
                    best, most = name, known
        most = _outside_tiles(prompt, most)
        if best is None or most < 1:
            return None
        return self._entries.pop(best).state.cut(most)

    def clear(self) -> None:
        self._entries.clear()


def _common(one: Keys, other: Keys) -> int:
    """How many keys are equal from the start."""
    length = min(len(one), len(other))
    differing = np.flatnonzero(one[:length] != other[:length])
    return int(differing[0]) if len(differing) else length


def _outside_tiles(prompt: Prompt, known: int) -> int:
    """The largest number of tokens up to `known` that ends within no tile."""
    assert prompt.read_mask is not None
    read = prompt.read_mask.numpy()
    while 0 < known < len(read) and read[known] and read[known - 1]:
        known -= 1
    return known
